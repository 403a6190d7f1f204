"""Errors that the programs tell in one line instead of a stack trace."""

import errno
import os
import re
from collections.abc import Iterator

from keras_dynamonet.errors import UserError, first_line
from keras_dynamonet.keras_backend import refuse_unusable_backend

_OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|\bOOM when|ALLOC_FAILED|bad_alloc|not enough memory"
    r"|(?:failed to|can't|unable to) allocate",
    re.IGNORECASE,
)
"""What TensorFlow, JAX, PyTorch, CUDA and NumPy say; their errors share no class."""

_DEVICE_ADDRESS = re.compile(r"/job:\S*/device:")
"""What TensorFlow puts before the name of a device."""

_LONGEST_REASON = 200


def describe_failure(error: Exception) -> str | None:
    """One line about an error that the user can mend; None if it is none of these.

    Args:
        error: A :class:`~keras_dynamonet.errors.UserError`, an error of the system
            (no permission, no space), memory that did not suffice, or what Keras says
            of a backend that it cannot run on.

    Returns:
        The line, or None.

    Example:

    >>> describe_failure(FileNotFoundError(2, "No such file or directory", "a.mp4"))
    'a.mp4: No such file or directory.'
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno != errno.ENOMEM:
        named = "" if error.filename is None else f"{error.filename}: "
        return f"{named}{error.strerror or error}."
    reason = _memory_reason(error)
    if reason is not None:
        return (
            f"the memory does not suffice: {reason}. What helps: fewer clips at a time "
            "(--batch-size, where there is one), a smaller network, fewer or smaller "
            "frames."
        )
    if not isinstance(error, ImportError | ValueError):
        return None
    try:
        refuse_unusable_backend(os.environ.get("KERAS_BACKEND", "tensorflow"))
    except UserError as backend_error:
        return str(backend_error)
    return None


def _memory_reason(error: Exception) -> str | None:
    """What a library says of memory that it did not get; None for another error."""
    for cause in _with_causes(error):
        if isinstance(cause, MemoryError) and not str(cause):
            return "there is no more"
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return os.strerror(errno.ENOMEM)
        if isinstance(cause, ImportError | OSError):
            continue  # libraries' loaders run out of room of their own; names of files
        for line in str(cause).splitlines():
            if _OUT_OF_MEMORY.search(line):
                line = _DEVICE_ADDRESS.sub("", first_line(line))
                return line.rstrip(".")[:_LONGEST_REASON]
    return None


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
