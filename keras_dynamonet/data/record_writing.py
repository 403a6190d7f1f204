"""Writing files of records with TensorFlow, whose errors become a user's."""

import contextlib
import os
from collections.abc import Iterator

from keras_dynamonet.errors import UserError


class RecordWriter:
    """`tf.io.TFRecordWriter` that says in one line what cannot be written.

    Args:
        path: The file to write.
        known_as: The file as the user knows it, if `path` is a temporary one.

    Raises:
        UserError: The file cannot be written, e.g. because the disk is full.

    Example:

    ```python
    with RecordWriter("shard.tfrecord") as writer:
        writer.write(b"a record")
    ```
    """

    def __init__(self, path: str | os.PathLike, known_as: str | os.PathLike = ""):
        import tensorflow as tf

        self._error = tf.errors.OpError
        self._known_as = known_as or path
        with self._in_one_line():
            self._writer = tf.io.TFRecordWriter(os.fspath(path))

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, record: bytes) -> None:
        """Appends a record."""
        with self._in_one_line():
            self._writer.write(record)

    def flush(self) -> None:
        """Hands all records to the system."""
        with self._in_one_line():
            self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        with self._in_one_line():
            self._writer.close()

    @contextlib.contextmanager
    def _in_one_line(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            reason = error.message.rpartition("; ")[2]  # after the path
            raise UserError(
                f"{self._known_as}: cannot be written: {reason}."
            ) from error
