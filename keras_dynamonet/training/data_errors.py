"""Errors of a data pipeline as they were before tf.data wrapped them."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from keras_dynamonet.data.bad_files import BadFileLog
from keras_dynamonet.errors import UserError, first_line

_OF_DATA = (
    tf.errors.DataLossError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnavailableError,
)
_NO_FILE = "No such file or directory"
"""What a data service says of shards that its workers cannot read, or of its end. Other
errors that "do not find" something are of kernels, e.g. for want of memory."""


@contextlib.contextmanager
def original_errors(bad_files: BadFileLog) -> Iterator[None]:
    """Raises the error that ended a dataset instead of TensorFlow's account of it.

    Args:
        bad_files: The log that the dataset was given.
    """
    try:
        yield
    except tf.errors.OpError as error:
        bad_files.raise_if_failed()
        if isinstance(error, _OF_DATA) or _NO_FILE in str(error):
            raise UserError(first_line(str(error))) from error
        raise
