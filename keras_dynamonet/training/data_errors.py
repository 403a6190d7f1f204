"""Errors of a data pipeline as they were before tf.data wrapped them."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from keras_dynamonet.data.bad_files import BadFileLog


@contextlib.contextmanager
def original_errors(bad_files: BadFileLog) -> Iterator[None]:
    """Raises the error that ended a dataset instead of TensorFlow's account of it.

    Args:
        bad_files: The log that the dataset was given.
    """
    try:
        yield
    except tf.errors.OpError:
        bad_files.raise_if_failed()
        raise
