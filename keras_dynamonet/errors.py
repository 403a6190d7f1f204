"""Errors that tell a user what to do, in one line.

Raise :class:`UserError` for a mistake that the user can mend (a missing file, a wrong
argument, a missing extra). The programs print its text without a stack trace.
"""

import re

_GRAPH_NODES = re.compile(
    r"\[\[\{\{.*\}\}\]\]\s*$|\{\{.*?\}\} |^Graph execution error:"
    r"|^Detected at node .*|^<stack traces unavailable>|^  +File .*|^    .*"
)
"""What TensorFlow puts around a message: `[[{{function_node f}}{{node x}}]]`, and the
places in Python where the node was made."""


class UserError(ValueError):
    """A user's mistake: says which file or argument, what is wrong, what to do.

    Example:

    >>> str(UserError("videos/: no video files found. Point DATA at a folder."))
    'videos/: no video files found. Point DATA at a folder.'
    """


class UsageError(UserError):
    """Arguments of a program that make no sense: it ends with status 2.

    Example:

    >>> str(UsageError("--annotate takes a single VIDEO."))
    '--annotate takes a single VIDEO.'
    """


class MissingExtraError(UserError, ImportError):
    """An optional dependency is absent; names the extra that installs it.

    Args:
        feature: What the user asked for, e.g. `"ONNX export"`.
        extra: Name of the extra in `setup.py`, e.g. `"onnx"`.

    Example:

    >>> str(MissingExtraError("ONNX export", "onnx"))
    'ONNX export needs an extra: pip install "keras-dynamonet[onnx]".'
    """

    def __init__(self, feature: str, extra: str):
        super().__init__(
            f'{feature} needs an extra: pip install "keras-dynamonet[{extra}]".'
        )


def first_line(text: str) -> str:
    """What a library's message says first, without the nodes of TensorFlow's graph.

    Example:

    >>> first_line("\\nno picture [[{{node decode}}]]\\n\\t [[{{node map}}]]")
    'no picture'
    >>> first_line("Graph execution error:\\n\\n{{function_node f}} no memory")
    'no memory'
    >>> first_line("Detected at node x defined at:\\n  File f.py, line 1\\nno file")
    'no file'
    """
    lines = (_GRAPH_NODES.sub("", line).strip() for line in text.splitlines())
    return next(filter(None, lines), "no reason given")


def reason_of(error: Exception) -> str:
    """Kind and first line of an error of some library's, for a line to the user.

    Example:

    >>> reason_of(RuntimeError("it broke\\nand here is a trace"))
    'RuntimeError: it broke'
    """
    return f"{type(error).__name__}: {first_line(str(error))}"
