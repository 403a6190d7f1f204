"""Remote files through TensorFlow, with the file systems that tensorflow-io adds.

Its last release was built for TensorFlow 2.16 and loads there only. Where it does,
`tf.data` reads shards from the same addresses without Python.
"""

import contextlib
import logging
import os
import urllib.parse
from pathlib import Path

from keras_dynamonet.data.remote_files import RemoteInfo

_logger = logging.getLogger(__name__)

# The TensorFlow that the binaries of tensorflow-io were built for.
_BUILT_FOR = "2.16."


class TensorFlowFiles:
    """Reads through `tf.io.gfile`."""

    name = "TensorFlow with tensorflow-io"

    @classmethod
    def load(cls, scheme: str) -> "TensorFlowFiles | None":
        """Loads the file systems.

        Args:
            scheme: What stands before `://`.

        Returns:
            The reader, or None where they do not load or lack the scheme.
        """
        import tensorflow as tf

        if not tf.__version__.startswith(_BUILT_FOR):
            _logger.debug("tensorflow-io needs TensorFlow %sx", _BUILT_FOR)
            return None
        if "AWS_ENDPOINT_URL" in os.environ:
            # The name that tensorflow-io has for what other clients call this.
            os.environ.setdefault("S3_ENDPOINT", os.environ["AWS_ENDPOINT_URL"])
        with contextlib.suppress(ImportError, NotImplementedError):
            import tensorflow_io  # noqa: F401  registers the file systems
        return cls() if scheme in tf.io.gfile.get_registered_schemes() else None

    def info(self, path: str) -> RemoteInfo:
        """What the server says about a file."""
        import tensorflow as tf

        found = tf.io.gfile.stat(_quoted(path))
        return RemoteInfo(found.length, version=str(found.mtime_nsec))

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Some bytes of a file; fewer at its end."""
        import tensorflow as tf

        with tf.io.gfile.GFile(_quoted(path), "rb") as file:
            file.seek(offset)
            return file.read(length)

    def download(self, path: str, target: Path) -> None:
        """Copies a whole file."""
        import tensorflow as tf

        tf.io.gfile.copy(_quoted(path), str(target), overwrite=True)

    def is_final(self, error: Exception) -> str | None:
        """Why it makes no sense to try again, or None if it does."""
        import tensorflow as tf

        if isinstance(error, tf.errors.NotFoundError):
            return "no such file"
        if isinstance(
            error, tf.errors.PermissionDeniedError | tf.errors.UnauthenticatedError
        ):
            return "no permission to read it"
        return None


def _quoted(path: str) -> str:
    """Spaces and the like in web addresses as they travel; quoted ones stay."""
    if not path.startswith(("http://", "https://")):
        return path
    return urllib.parse.quote(path, safe="%/:=&?~#+!$,;'@()*[]")
