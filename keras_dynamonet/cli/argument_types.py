"""Values on the command line: those that make no sense are bad usage at once."""

import argparse
import math
from collections.abc import Callable

from keras_dynamonet.errors import UserError


def at_least(smallest: int) -> Callable[[str], int]:
    """A `type` for argparse: whole numbers from `smallest` on.

    Example:

    >>> at_least(1)("16")
    16
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < smallest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number, at least {smallest}. Received: {text}."
            )
        return number

    return read


def positive(text: str) -> float:
    """A `type` for argparse: finite numbers above 0.

    Example:

    >>> positive("0.5")
    0.5
    """
    number = _read(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive. Received: {text}.")
    return number


def share(text: str) -> float:
    """A `type` for argparse: numbers from 0 to 1.

    Example:

    >>> share("0.1")
    0.1
    """
    number = _read(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must lie in [0, 1]. Received: {text}.")
    return number


def names(text: str) -> tuple[str, ...]:
    """A `type` for argparse: names with commas between them.

    Example:

    >>> names("onnx, tflite")
    ('onnx', 'tflite')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def local_path(text: str) -> str:
    """A `type` for argparse: a file or folder to write, which lies on this machine.

    Example:

    >>> local_path("runs/first")
    'runs/first'
    """
    from keras_dynamonet.data.places import local_folder

    try:
        local_folder(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _read(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
