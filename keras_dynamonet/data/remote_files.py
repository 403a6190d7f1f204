"""Files at `s3://`, `gs://`, `http(s)://` or `hdfs://`: who reads them, and patience.

One function, `remote_files`, decides who reads an address: the file systems of
tensorflow-io where they load, fsspec elsewhere. Whoever it is, everything that may pass
is tried again after a growing pause; what is certain (no such file, no permission) and
what does not pass ends in one error that names the address.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.5
# How long a server may say nothing before an attempt is given up.
TIMEOUT_SECONDS = 30.0


class RemoteError(UserError):
    """A server that cannot be reached, or does not do what it should.

    That is no fault of one video: it ends the program instead of counting as a bad
    file. A file that is not there or that is damaged is a `VideoError`.
    """


class DamagedError(Exception):
    """What arrived is not what the server says it has; worth another attempt."""


@dataclasses.dataclass(frozen=True)
class RemoteInfo:
    """What a server says about a file.

    Attributes:
        size: Bytes; None if it does not say.
        md5: MD5 of the content in hex; None if it does not say.
        version: Changes with the content, e.g. an ETag; None if it does not say.
    """

    size: int | None
    md5: str | None = None
    version: str | None = None


class RemoteFiles(Protocol):
    """How a library reads remote files; `name` says which library."""

    name: str

    def info(self, path: str) -> RemoteInfo:
        """What the server says about a file."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Some bytes of a file; fewer at its end."""

    def download(self, path: str, target: Path) -> None:
        """Copies a whole file."""

    def is_final(self, error: Exception) -> str | None:
        """Why it makes no sense to try again, or None if it does."""


def remote_files(path: str) -> RemoteFiles:
    """Decides who reads an address, and says so in the log once.

    Args:
        path: The address.

    Raises:
        UserError: Nobody here can; says what to install.

    Example:

    ```python
    files = remote_files("s3://bucket/videos/a.mp4")
    print(files.name)
    ```
    """
    return _reader_of(path.partition("://")[0].lower())


@functools.lru_cache
def _reader_of(scheme: str) -> RemoteFiles:
    reader = _tensorflow_files(scheme)
    if reader is None:
        from keras_dynamonet.data.remote_fsspec import FsspecFiles

        reader = FsspecFiles(scheme)
    _logger.info("%s:// is read by %s", scheme, reader.name)
    return reader


def _tensorflow_files(scheme: str) -> RemoteFiles | None:
    if importlib.util.find_spec("tensorflow_io") is None:
        return None
    from keras_dynamonet.data.remote_tensorflow import TensorFlowFiles

    return TensorFlowFiles.load(scheme)


def read_remote(path: str, offset: int, length: int) -> bytes:
    """Some bytes of a remote file.

    Args:
        path: The address.
        offset: Where they begin.
        length: How many; fewer come back at the end of the file.

    Raises:
        VideoError: There is no such file, or no permission to read it.
        RemoteError: The server failed, however often it was asked.
    """
    files = remote_files(path)
    return _patiently(path, files, lambda: files.read(path, offset, length))


def remote_info(path: str) -> RemoteInfo:
    """What the server says about a remote file.

    Raises:
        VideoError: There is no such file, or no permission to read it.
        RemoteError: The server failed, however often it was asked.
    """
    files = remote_files(path)
    return _patiently(path, files, lambda: files.info(path))


def download(path: str, target: Path) -> RemoteInfo:
    """Copies a remote file and compares its size, and its checksum where one is told.

    Args:
        path: The address.
        target: A temporary name: half a file may be left there when it fails.

    Raises:
        VideoError: There is no such file, no permission to read it, or its content
            never has the size or checksum that the server promises.
        RemoteError: The server failed, however often it was asked.
    """
    files = remote_files(path)

    def attempt() -> RemoteInfo:
        info = files.info(path)
        files.download(path, target)
        _check_download(target, info)
        return info

    return _patiently(path, files, attempt)


def _patiently(
    path: str, files: RemoteFiles, attempt: Callable[[], _Result]
) -> _Result:
    for number in range(1, _ATTEMPTS + 1):
        try:
            return attempt()
        except UserError:
            raise
        except Exception as error:  # each library and protocol has errors of its own
            reason = files.is_final(error)
            if reason is not None:
                raise VideoError(path, reason) from error
            text = _one_line(error)
            if number == _ATTEMPTS:
                if isinstance(error, DamagedError):
                    raise VideoError(path, f"{text}, {_ATTEMPTS} times") from error
                raise RemoteError(
                    f"{path}: cannot be read, {_ATTEMPTS} attempts failed, the last "
                    f"one with: {text}. Check the address and the network."
                ) from error
            pause = _FIRST_PAUSE_SECONDS * 2 ** (number - 1)
            _logger.warning("%s: %s; trying again in %.1f s", path, text, pause)
            time.sleep(pause)


def _check_download(target: Path, info: RemoteInfo) -> None:
    size = target.stat().st_size
    if info.size is not None and size != info.size:
        raise DamagedError(f"{size} instead of {info.size} bytes arrived")
    if info.md5 is not None:
        with target.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != info.md5:
            raise DamagedError("arrived with a wrong checksum")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rstrip(".")[:300]
