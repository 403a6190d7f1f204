"""Packing videos into one shard: decode, choose frames, encode, write, check."""

import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from keras_dynamonet.data.packed_record import PackedRecord
from keras_dynamonet.data.record_writing import RecordWriter
from keras_dynamonet.data.shards import (
    FOOTER_BYTES,
    HEADER_BYTES,
    INDEX_SUFFIX,
    write_shard_index,
)
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.data.video_opening import open_video_reader
from keras_dynamonet.errors import UserError
from keras_dynamonet.files import atomic_path

# Frames decoded at a time: a long video need not fit into memory.
_FRAMES_AT_ONCE = 256
_SUMMARY_SUFFIX = ".json"


@dataclass(frozen=True)
class PackSettings:
    """How videos are packed.

    Attributes:
        fps: Frames per second to keep; None keeps every frame.
        short_side: Scale larger pictures down so that the shorter side has this many
            pixels.
        quality: Of the JPEG pictures, from 1 to 100.
        videos_per_shard: Videos in a file.

    Raises:
        UserError: A value is out of range.

    Example:

    >>> PackSettings(fps=12.0, short_side=128).quality
    90
    """

    fps: float | None = None
    short_side: int = 256
    quality: int = 90
    videos_per_shard: int = 256

    def __post_init__(self):
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise UserError(
                f"`fps` must be a positive number. Received: fps={self.fps}."
            )
        for name in ("short_side", "videos_per_shard"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"`{name}` must be at least 1. "
                    f"Received: {name}={getattr(self, name)}."
                )
        if not 1 <= self.quality <= 100:
            raise UserError(
                f"`quality` must lie in [1, 100]. Received: quality={self.quality}."
            )


@dataclass(frozen=True)
class Source:
    """One video to pack.

    Attributes:
        path: As it can be opened.
        name: How it is called in the shard.
        class_name: Name of the class; None without a label.
    """

    path: str
    name: str
    class_name: str | None


@dataclass(frozen=True)
class ShardSummary:
    """What became of one shard.

    Attributes:
        sizes: Bytes of each source's record, -1 for those that could not be read.
        bad: Why not, by path.
        num_bytes: Of the file.
        sha256: Of the file, in hex.
    """

    sizes: list[int]
    bad: dict[str, str]
    num_bytes: int
    sha256: str


def shard_name(number: int, count: int) -> str:
    """Name of a shard, e.g. `"shard-00003-of-00016"`, without an ending."""
    return f"shard-{number:05d}-of-{count:05d}"


def finished_shard(stem: Path) -> ShardSummary | None:
    """What an earlier run wrote, or None if it did not get that far.

    Args:
        stem: Path of the shard without an ending.
    """
    try:
        summary = json.loads(stem.with_suffix(_SUMMARY_SUFFIX).read_text())
        finished = ShardSummary(**summary)
        if stem.with_suffix(".tfrecord").stat().st_size == finished.num_bytes:
            return finished
    except (OSError, ValueError, TypeError):
        pass
    return None


def write_shard(
    stem: Path, sources: list[Source], settings: PackSettings
) -> ShardSummary:
    """Packs videos into one shard with its index and summary.

    The summary is written last: a shard that has one is whole.

    Args:
        stem: Path of the shard without an ending.
        sources: The videos; those that cannot be read are left out.
        settings: How to pack.
    """
    cv2.setNumThreads(1)  # there is a process for each processor
    rows, sizes, bad, offset = [], [], {}, HEADER_BYTES
    path = stem.with_suffix(".tfrecord")
    with atomic_path(path) as temporary:
        with RecordWriter(temporary, known_as=path) as writer:
            for source in sources:
                try:
                    record = pack_video(source, settings).to_bytes()
                except VideoError as error:
                    bad[source.path] = error.reason
                    sizes.append(-1)
                    continue
                writer.write(record)
                rows.append((offset, len(record), zlib.crc32(record)))
                sizes.append(len(record))
                offset += len(record) + FOOTER_BYTES + HEADER_BYTES
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        num_bytes = os.path.getsize(temporary)
    write_shard_index(stem.with_suffix(INDEX_SUFFIX), rows)
    summary = ShardSummary(sizes, bad, num_bytes, sha256)
    with atomic_path(stem.with_suffix(_SUMMARY_SUFFIX)) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(summary)))
    return summary


def pack_video(source: Source, settings: PackSettings) -> PackedRecord:
    """Decodes a video, chooses its frames and encodes them as JPEG.

    With a frame rate, frame k is what is on display in the middle of its own time,
    `(k + 0.5) / fps`; without one, every frame is kept with its time.

    Raises:
        VideoError: The video cannot be read to its end.
    """
    with open_video_reader(source.path) as video:
        duration, fps = video.duration_seconds, video.fps
        times = video.frame_times
        moments = times
        if settings.fps is not None:
            fps = settings.fps
            count = max(1, int(duration * fps + 0.5))
            times = np.arange(count) / fps
            moments = np.minimum(times + 0.5 / fps, duration)
            duration = count / fps
        short_side = min(settings.short_side, *video.coded_size)
        jpegs, shape = [], None
        for frames in _read_in_parts(video, moments, short_side):
            shape = frames.shape[1:3]
            jpegs += [_encode(frame, settings.quality) for frame in frames]
    return PackedRecord(
        source.name, source.class_name, *shape, fps, duration, times, tuple(jpegs)
    )


def _read_in_parts(video, times: np.ndarray, short_side: int) -> Iterator[np.ndarray]:
    for start in range(0, len(times), _FRAMES_AT_ONCE):
        part = times[start : start + _FRAMES_AT_ONCE]
        yield video.read_frames(part, short_side=short_side)


def _encode(frame: np.ndarray, quality: int) -> bytes:
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.tobytes()
