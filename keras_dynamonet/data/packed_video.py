"""Frames of one packed video: what `VideoReader` is for a video file."""

import os
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from keras_dynamonet.data.packed_record import PackedRecord
from keras_dynamonet.data.shards import PackedAddress, read_packed_bytes
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.data.video_timeline import CLOCK_SECONDS, check_times

# JPEG decoders leave out frequencies that a smaller picture cannot show.
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class PackedVideo:
    """Reads frames of one packed video by time. Use as a context manager.

    Takes the same calls as `VideoReader`; only frames that are asked for are decoded.

    Args:
        path: Address of the video, `SHARD#NUMBER/NAME`.

    Raises:
        VideoError: The shard is missing or damaged.

    Example:

    ```python
    with PackedVideo("packed/shard-00000-of-00001.tfrecord#0/walk/a.mp4") as video:
        frames = video.read_frames([0.0, 0.1, 0.2], short_side=64)
    ```
    """

    codec = "jpeg"
    header_duration_seconds = None

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        record = read_packed_bytes(PackedAddress.parse(self.path))
        try:
            self._record = PackedRecord.from_bytes(record)
        except ValueError:
            raise VideoError(self.path, "the record holds no packed video") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._record.fps

    @property
    def duration_seconds(self) -> float:
        """From the start of the first frame to the end of the last."""
        return self._record.duration_seconds

    @property
    def frame_times(self) -> np.ndarray:
        """Start of every frame in seconds, sorted: float64, shape `(frames,)`."""
        return self._record.frame_times

    @property
    def coded_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self._record.height, self._record.width

    def rotation_degrees(self) -> int:
        """0: pictures are packed upright."""
        return 0

    def read_frames(
        self, times_seconds: Sequence[float], *, short_side: int | None = None
    ) -> np.ndarray:
        """Returns the frames on display at the given times, in the given order.

        Args:
            times_seconds: Seconds since the first frame, in any order, repeats allowed.
            short_side: Scale so that the shorter side has this many pixels.

        Returns:
            uint8 RGB, shape `(len(times_seconds), height, width, 3)`.

        Raises:
            VideoError: A time lies behind the end, or a picture cannot be decoded.
        """
        times = check_times(times_seconds)
        starts = self.frame_times
        if times.max() > self.duration_seconds + 0.5 / self.fps:
            raise VideoError(
                self.path,
                f"no frame at {times.max():.2f} s, it ends at "
                f"{self.duration_seconds:.2f} s",
            )
        shown = np.searchsorted(starts, times + CLOCK_SECONDS, side="right") - 1
        needed, place = np.unique(np.maximum(shown, 0), return_inverse=True)
        height, width = self._scaled_size(short_side)
        frames = np.empty((len(needed), height, width, 3), np.uint8)
        for frame, number in zip(frames, needed, strict=True):
            self._decode(number, frame)
        return frames if len(needed) == len(place) else frames[place]

    def iterate_frames(
        self, *, short_side: int | None = None
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yields `(seconds, frame)` from the first frame to the last.

        Yields:
            Start of the frame in seconds and uint8 RGB of shape `(height, width, 3)`.

        Raises:
            VideoError: A picture cannot be decoded.
        """
        size = self._scaled_size(short_side)
        for number, seconds in enumerate(self.frame_times):
            frame = np.empty((*size, 3), np.uint8)
            self._decode(number, frame)
            yield float(seconds), frame

    def count_frames(self) -> int:
        """Decodes every picture and returns the number of frames.

        Raises:
            VideoError: A picture cannot be decoded.
        """
        return sum(1 for _ in self.iterate_frames())

    def _scaled_size(self, short_side: int | None) -> tuple[int, int]:
        height, width = self.coded_size
        if short_side is None:
            return height, width
        scale = short_side / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _decode(self, number: int, frame: np.ndarray) -> None:
        """Decodes a picture and scales it to the size of `frame`, which it fills."""
        height, width = frame.shape[:2]
        shrink = min(self._record.height / height, self._record.width / width)
        reduced = max(factor for factor in _REDUCED if factor <= max(1, shrink))
        jpeg = np.frombuffer(self._record.jpegs[int(number)], np.uint8)
        picture = cv2.imdecode(jpeg, _REDUCED[reduced]) if jpeg.size else None
        if picture is None:
            raise VideoError(self.path, f"cannot decode frame {number}")
        if picture.shape != frame.shape:
            picture = cv2.resize(
                picture, (width, height), interpolation=cv2.INTER_CUBIC
            )
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=frame)
