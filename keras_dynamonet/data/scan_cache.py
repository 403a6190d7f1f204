"""What earlier scans found out, so that no file is probed twice.

A result holds as long as the file has the size and the time (or, on a server, the
version) that it had, and the same releases of this library and of FFmpeg's bindings
look at it.
"""

import dataclasses
import json
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

import av

from keras_dynamonet.data.cache_folder import cache_folder
from keras_dynamonet.data.decoding import VideoInfo
from keras_dynamonet.data.places import absolute_path, as_utf8, is_remote
from keras_dynamonet.data.remote_files import remote_info
from keras_dynamonet.data.shards import PackedAddress
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.errors import UserError
from keras_dynamonet.version import __version__

_SCHEMA = """
create table if not exists scans (
    path text, thorough integer, state text, result text,
    primary key (path, thorough)
) without rowid
"""
_FILE_NAME = "scans.sqlite"
_PROGRAM = f"{__version__} av {av.__version__}"
# Another scan may be writing.
_BUSY_SECONDS = 60.0
_COMMIT_SECONDS = 2.0

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ScanResult:
    """What a scan found out about one file.

    Attributes:
        path: The file.
        ok: Whether all of its frames that were tried can be decoded.
        reason: Why not; empty if they can.
        remark: What is odd about a readable file, e.g. that it is cut short.
        info: Size, rate and length, if the file could be opened.
    """

    path: str
    ok: bool
    reason: str = ""
    remark: str = ""
    info: VideoInfo | None = None


class ScanCache:
    """Results of earlier scans. Use as a context manager; threads may share it.

    A file that cannot be written is no reason to stop: what is found out is not kept
    then, which a warning says.

    Args:
        path: The file; None for the one in the cache folder.
        fresh: Find nothing, keep everything: what is there may be wrong.

    Raises:
        UserError: The file is no such database.

    Example:

    ```python
    with ScanCache() as cache:
        results = scan_videos(load_manifest("videos"), cache=cache)
        print(cache.hits, "files were known")
    ```
    """

    def __init__(self, path: str | os.PathLike | None = None, *, fresh: bool = False):
        self.hits = 0
        self._fresh = fresh
        self._lock = threading.Lock()
        self._committed = time.monotonic()
        self._path = Path(path) if path is not None else cache_folder() / _FILE_NAME
        self._keeping = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = _open(self._path)
        except (OSError, sqlite3.OperationalError) as error:
            self._keep_no_more(error)
            self._database = _open(":memory:")
        except sqlite3.Error as error:
            raise UserError(
                f"{self._path}: the results of earlier scans cannot be read ({error}). "
                "Remove the file."
            ) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._keeping:
            try:
                self._database.commit()
            except sqlite3.OperationalError as error:
                self._keep_no_more(error)
        self._database.close()

    def find(self, path: str, state: str | None, thorough: bool) -> ScanResult | None:
        """The result for a file, if it has not changed.

        Args:
            path: The file.
            state: From `file_state`.
            thorough: Whether every frame must have been decoded.
        """
        if state is None or self._fresh:
            return None
        with self._lock:
            row = self._database.execute(
                "select result from scans where path = ? and state = ? "
                "and thorough >= ? order by thorough desc limit 1",
                (_key(path), state, int(thorough)),
            ).fetchone()
            self.hits += row is not None
        if row is None:
            return None
        result = json.loads(row[0])
        info = result.pop("info")
        if info is not None:
            info = VideoInfo(path=path, **info)
        return ScanResult(path, info=info, **result)

    def keep(self, result: ScanResult, state: str | None, thorough: bool) -> None:
        """Keeps a result for later scans.

        Args:
            result: The result.
            state: From `file_state`, before the file was read.
            thorough: Whether every frame was decoded.
        """
        if state is None:
            return
        document = dataclasses.asdict(result)
        del document["path"]
        if result.info is not None:
            del document["info"]["path"]
        row = (_key(result.path), int(thorough), state, json.dumps(document))
        with self._lock:
            if not self._keeping:
                return
            try:
                self._database.execute(
                    "insert or replace into scans values (?, ?, ?, ?)", row
                )
                if time.monotonic() - self._committed > _COMMIT_SECONDS:
                    self._database.commit()
                    self._committed = time.monotonic()
            except sqlite3.OperationalError as error:  # e.g. a full disk
                self._keep_no_more(error)

    def _keep_no_more(self, error: Exception) -> None:
        self._keeping = False
        _logger.warning(
            "%s: what this scan finds out is not kept: %s", self._path, error
        )


def _open(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    database.execute(_SCHEMA)
    return database


def file_state(path: str) -> str | None:
    """What changes with the content of a file; None if it is not there.

    Raises:
        RemoteError: The server that has it cannot be reached.
    """
    address = PackedAddress.parse(path)
    file = path if address is None else address.shard
    try:
        if is_remote(file):
            info = remote_info(file)
            parts = info.size, info.version
        else:
            status = os.stat(file)
            parts = status.st_size, status.st_mtime_ns
    except (OSError, VideoError):
        return None
    return f"{parts[0]} {parts[1]} {_PROGRAM}"


def _key(path: str) -> str:
    return as_utf8(absolute_path(path))
