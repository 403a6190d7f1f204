"""Shards: TFRecord files, with an index of where each record is and its checksum.

A packed video is addressed as `SHARD#NUMBER/NAME`, e.g.
`packed/shard-00003-of-00016.tfrecord#17/walk/a.mp4`: record 17 of that file, which was
`walk/a.mp4` before. Such an address stands wherever the path of a video may.

```
shard-00003-of-00016.tfrecord    length, checksum, record, checksum; and so on
shard-00003-of-00016.index       (offset, length, CRC-32) of each record: int64, .npy
```
"""

import functools
import io
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dynamonet.data.downloads import local_copy
from keras_dynamonet.data.places import is_remote
from keras_dynamonet.data.remote_files import read_remote
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.files import atomic_path

_ADDRESS = re.compile(
    r"(?P<shard>.+\.tfrecord)#(?P<number>\d+)/(?P<name>.+)", re.DOTALL
)
# TFRecord writes 8 bytes of length and 4 of checksum before a record, 4 behind it.
HEADER_BYTES, FOOTER_BYTES = 12, 4
INDEX_SUFFIX = ".index"
# Indices of shards that stay in memory, 24 bytes a record each.
_INDICES_KEPT = 4096


@dataclass(frozen=True)
class PackedAddress:
    """Where one packed video is.

    Attributes:
        shard: Path of the shard.
        number: Which record, from 0.
        name: Path of the source.

    Example:

    >>> address = PackedAddress.parse("packed/shard-0.tfrecord#17/walk/a.mp4")
    >>> address.number, address.name, str(address)
    (17, 'walk/a.mp4', 'packed/shard-0.tfrecord#17/walk/a.mp4')
    """

    shard: str
    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.shard}#{self.number}/{self.name}"

    @classmethod
    def parse(cls, path: str | os.PathLike) -> "PackedAddress | None":
        """The address that a path is, or None for any other path."""
        match = _ADDRESS.fullmatch(os.fspath(path))
        if match is None:
            return None
        return cls(match["shard"], int(match["number"]), match["name"])


def write_shard_index(path: Path, rows: list[tuple[int, int, int]]) -> None:
    """Writes `(offset, length, CRC-32)` of each record."""
    buffer = io.BytesIO()
    np.save(buffer, np.array(rows, np.int64).reshape(-1, 3))
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_packed_bytes(address: PackedAddress) -> bytes:
    """Reads one record, and nothing else of its shard.

    Raises:
        VideoError: The shard or its index is missing, cut short or damaged: it is an
            error of this video, and of every other one there.
    """
    try:
        return _read_record(address)
    except VideoError as error:
        if error.path == str(address):
            raise
        raise VideoError(str(address), f"{error.path}: {error.reason}") from error


def _read_record(address: PackedAddress) -> bytes:
    rows = _shard_index(address.shard)
    if address.number >= len(rows):
        raise VideoError(str(address), f"the shard has {len(rows)} records only")
    offset, length, checksum = map(int, rows[address.number])
    record = _read(address.shard, offset, length)
    if len(record) < length:
        raise VideoError(str(address), "the shard is cut short: pack it again")
    if zlib.crc32(record) != checksum:
        raise VideoError(
            str(address), "the shard is damaged (wrong checksum): pack it again"
        )
    return record


def shard_offsets(shard: str) -> np.ndarray:
    """Where each record of a shard begins: int64, shape `(records,)`.

    Raises:
        VideoError: The index of the shard is missing or damaged.
    """
    return _shard_index(shard)[:, 0]


@functools.lru_cache(maxsize=_INDICES_KEPT)
def _shard_index(shard: str) -> np.ndarray:
    path = shard.removesuffix(".tfrecord") + INDEX_SUFFIX
    try:
        return np.load(local_copy(path, fresh=True))
    except OSError as error:
        raise VideoError(path, error.strerror or "cannot be read") from error
    except (EOFError, ValueError):
        raise VideoError(path, "the index of the shard is damaged") from None


def _read(path: str, offset: int, length: int) -> bytes:
    if is_remote(path):
        return read_remote(path, offset, length)
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise VideoError(path, error.strerror or "cannot be read") from error
