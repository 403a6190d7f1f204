"""Copies of remote files in the cache folder: whole, or absent.

Videos are copied rather than read where they are: finding the end of a video and its
key frames takes many small reads, each of which would be a request of its own, and the
next epoch reads the same video again. Packed shards are read in place instead, one
request for each video.
"""

import hashlib
import os
import threading
from pathlib import Path

from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.data.places import is_remote
from keras_dynamonet.data.remote_files import RemoteInfo, download, remote_info
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path

LIMIT_VARIABLE = "KERAS_DYNAMONET_CACHE_GB"
_DEFAULT_LIMIT_GB = 50.0
# Old copies are looked for after this share of the limit was downloaded.
_LOOK_AFTER = 0.05
_VERSION_SUFFIX = ".version"

# Threads that want the same file wait for one of them; others rarely meet.
_LOCKS = tuple(threading.Lock() for _ in range(64))


def local_copy(path: str | os.PathLike, *, fresh: bool = False) -> str:
    """A path on this machine with the content of `path`.

    Files on this machine are returned as they are. Remote ones are downloaded once; the
    least recently used copies make room when all together exceed the limit.

    Args:
        path: A path or address.
        fresh: Ask the server whether the file has changed since it was downloaded.

    Raises:
        VideoError: There is no such file, or it is damaged.
        RemoteError: The server cannot be reached.

    Example:

    >>> local_copy("videos/a.mp4")
    'videos/a.mp4'
    """
    path = os.fspath(path)
    if not is_remote(path):
        return path
    key = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
    folder = cache_folder() / "downloads" / key[:2] / key[2:32]
    copy = folder / _file_name(path)
    with _LOCKS[int(key[:8], 16) % len(_LOCKS)]:
        if copy.exists() and not (fresh and _has_changed(path, folder)):
            os.utime(copy)  # used just now
            return str(copy)
        with atomic_path(copy) as temporary:
            info = download(path, temporary)
            _room.make(temporary.stat().st_size)
        with atomic_path(folder / _VERSION_SUFFIX) as temporary:
            temporary.write_text(_version(info))
        return str(copy)


def _file_name(path: str) -> str:
    """The name of the copy: layouts and FFmpeg go by the ending."""
    name = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    return name[-100:] or "file"


def _has_changed(path: str, folder: Path) -> bool:
    version = folder / _VERSION_SUFFIX
    return not version.exists() or version.read_text() != _version(remote_info(path))


def _version(info: RemoteInfo) -> str:
    return f"{info.size} {info.version}"


def _limit_bytes() -> float:
    text = os.environ.get(LIMIT_VARIABLE, str(_DEFAULT_LIMIT_GB))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if limit <= 0:
        raise UserError(f"{LIMIT_VARIABLE} must be a positive number, not {text!r}.")
    return limit * 1e9


class _Room:
    """Keeps the copies of all processes together below the limit, roughly."""

    def __init__(self):
        self._lock = threading.Lock()
        self._bytes_since_look = float("inf")

    def make(self, new_bytes: int) -> None:
        """Removes the copies used least recently, where new ones leave no room."""
        limit = _limit_bytes()
        with self._lock:
            self._bytes_since_look += new_bytes
            if self._bytes_since_look < _LOOK_AFTER * limit:
                return
            self._bytes_since_look = 0
            copies = []
            for copy in (cache_folder() / "downloads").glob("*/*/[!.]*"):
                try:
                    status = copy.stat()
                except OSError:
                    continue  # another process made room as well
                copies.append((status.st_mtime_ns, status.st_size, copy))
            excess = new_bytes + sum(size for _, size, _ in copies) - limit
            for _, size, copy in sorted(copies):
                if excess <= 0:
                    return
                copy.unlink(missing_ok=True)
                excess -= size


_room = _Room()
