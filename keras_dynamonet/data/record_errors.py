"""What TensorFlow says of files of records that it cannot write, in plain words."""

import contextlib
import os
from collections.abc import Iterator

from keras_dynamonet.errors import UserError


@contextlib.contextmanager
def plain_record_errors(path: str | os.PathLike) -> Iterator[None]:
    """Raises a user's error where TensorFlow's writer of records fails.

    Args:
        path: The file as the user knows it; what is written to may be a temporary one.

    Raises:
        UserError: The file cannot be written, e.g. because the disk is full.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.rpartition("; ")[2]
        raise UserError(f"{path}: cannot be written: {reason}.") from error
