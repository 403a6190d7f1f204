"""Video files to RGB frames, by time.

Three functions over `open_video_reader`, which opens a file once for several reads.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.video_file import VideoError, VideoTooShortError
from keras_dynamonet.data.video_opening import open_video_reader
from keras_dynamonet.data.video_reader import VideoReader
from keras_dynamonet.machine import count_cpus

__all__ = [
    "VideoError",
    "VideoInfo",
    "VideoReader",
    "VideoTooShortError",
    "iterate_frames",
    "probe_video",
    "read_frames",
]


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, measured on the file rather than read in its header.

    Attributes:
        path: The file.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Average frames per second.
        duration_seconds: From the first frame to the end of the last.
        num_frames: Number of frames stored.
        codec: Name of the codec, e.g. `"h264"`.
        rotation: Counter-clockwise turn in degrees that the metadata asks for; the
            frames returned by this library are already turned.
        header_duration_seconds: The duration that the header promises, if any; larger
            than `duration_seconds` for a file cut short.
    """

    path: str
    width: int
    height: int
    fps: float
    duration_seconds: float
    num_frames: int
    codec: str
    rotation: int
    header_duration_seconds: float | None


def probe_video(path: str | os.PathLike) -> VideoInfo:
    """Measures a video file: reads all its packets and decodes its first frame.

    Args:
        path: The video file.

    Raises:
        VideoError: The file is missing or empty, holds no video, or its first frame
            cannot be decoded.

    Example:

    ```python
    info = probe_video("walk.mp4")
    print(info.width, info.height, info.fps, info.duration_seconds)
    ```
    """
    with open_video_reader(path) as video:
        rotation = video.rotation_degrees()
        height, width = video.coded_size
        if rotation in (90, 270):
            height, width = width, height
        return VideoInfo(
            path=video.path,
            width=width,
            height=height,
            fps=video.fps,
            duration_seconds=video.duration_seconds,
            num_frames=len(video.frame_times),
            codec=video.codec,
            rotation=rotation,
            header_duration_seconds=video.header_duration_seconds,
        )


def read_frames(
    path: str | os.PathLike,
    times_seconds: Sequence[float],
    *,
    short_side: int | None = None,
) -> np.ndarray:
    """Returns the frames on display at the given times.

    Args:
        path: The video file.
        times_seconds: Seconds since the first frame, in any order.
        short_side: Scale so that the shorter side has this many pixels.

    Returns:
        uint8 RGB in [0, 255], shape `(len(times_seconds), height, width, 3)`.

    Raises:
        VideoError: The file cannot be read, a time lies behind its end, or a frame
            cannot be decoded.

    Example:

    ```python
    frames = read_frames("walk.mp4", [0.0, 0.5, 1.0], short_side=112)
    ```
    """
    with open_video_reader(path) as video:
        return video.read_frames(times_seconds, short_side=short_side)


def iterate_frames(
    path: str | os.PathLike, *, short_side: int | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields `(seconds, frame)` for every frame of a video, in order.

    Args:
        path: The video file.
        short_side: Scale so that the shorter side has this many pixels.

    Yields:
        Start of the frame in seconds and uint8 RGB of shape `(height, width, 3)`.

    Raises:
        VideoError: The file cannot be read or a frame cannot be decoded.

    Example:

    ```python
    for seconds, frame in iterate_frames("walk.mp4", short_side=112):
        print(f"{seconds:.2f} s", frame.shape)
    ```
    """
    with open_video_reader(path, num_threads=count_cpus()) as video:
        yield from video.iterate_frames(short_side=short_side)
