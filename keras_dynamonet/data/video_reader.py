"""Frames of one open video file, found by the time they are shown at."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.data.video_timeline import (
    CLOCK_SECONDS,
    VideoTimeline,
    check_times,
)

# Where a seek goes that did not work at first: back by more than most key frames.
_STEP_BACK_SECONDS = 12.0
# Codecs with frames that no other refers to, whose decoders leave them out when asked.
_SKIPPING_CODECS = ("h264", "hevc", "mpeg2video", "mpeg4")
# Frames before the first wanted one that are decoded in any case.
_LEAD_FRAMES = 2


class VideoReader(VideoTimeline):
    """Reads frames of one video file by time. Use as a context manager.

    Times are seconds since the first frame. Frames are uint8 RGB in display
    orientation: rotation metadata is applied, pixel aspect ratio is not.

    A decoding error damages every frame up to the next key frame; asking for such a
    frame raises `VideoError`, so that no damage the codec notices becomes a grey or
    black clip. (H.264 and HEVC notice nearly all of it. VP9, AV1 and MJPEG carry no
    checks: overwritten bytes may decode to a picture.)

    Args:
        path: The video file.
        num_threads: Decoder threads. 1 suits many readers working side by side.

    Raises:
        VideoError: The file is missing, empty, or holds no video.

    Example:

    ```python
    with VideoReader("walk.mp4") as video:
        frames = video.read_frames([0.0, 0.1, 0.2], short_side=64)
    frames.shape  # (3, 64, 85, 3) for a 320 x 240 video
    ```
    """

    def __init__(self, path: str | os.PathLike, *, num_threads: int = 1):
        super().__init__(path, num_threads=num_threads)
        self._reformatter = VideoReformatter()
        self._damage = "damaged data"
        self._frame_origin = self._find_frame_origin()

    def read_frames(
        self, times_seconds: Sequence[float], *, short_side: int | None = None
    ) -> np.ndarray:
        """Returns the frames on display at the given times, in the given order.

        Seeks to the key frame before the first time and decodes from there.

        Args:
            times_seconds: Seconds since the first frame, in any order, repeats allowed.
            short_side: Scale so that the shorter side has this many pixels.

        Returns:
            uint8 RGB, shape `(len(times_seconds), height, width, 3)`.

        Raises:
            VideoError: A time lies behind the end, or its frame cannot be decoded.
        """
        times, place = np.unique(check_times(times_seconds), return_inverse=True)
        to_rgb = _RgbConverter(self._reformatter, short_side)
        frames = []
        for run in self._split_into_runs(times):
            frames += self._seek_and_decode(run, to_rgb)
        return np.stack([frames[k] for k in place])

    def iterate_frames(
        self, *, short_side: int | None = None
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yields `(seconds, frame)` from the first frame to the last.

        Yields:
            Start of the frame in seconds and uint8 RGB of shape `(height, width, 3)`.

        Raises:
            VideoError: A frame cannot be decoded, or there is none.
        """
        to_rgb = _RgbConverter(self._reformatter, short_side)
        for seconds, frame in self._decode_all():
            yield seconds, np.array(to_rgb(frame))

    def count_frames(self) -> int:
        """Decodes the whole file and returns the number of frames.

        Raises:
            VideoError: A frame cannot be decoded, or there is none.
        """
        return sum(1 for _ in self._decode_all())

    def rotation_degrees(self) -> int:
        """Counter-clockwise turn asked for by the metadata: 0, 90, 180 or 270.

        Raises:
            VideoError: The first frame cannot be decoded.
        """
        (turns,) = self._frames_shown_at(np.zeros(1), None, _quarter_turns)
        return 90 * turns

    def _find_frame_origin(self) -> int:
        """Timestamp of the first frame, in ticks."""
        if not self._without_display_times:
            return self._packet_origin
        self._at_start = False
        try:
            for packet in self._container.demux(self._stream):
                for frame in packet.decode():
                    return frame.dts or 0
        except av.FFmpegError:
            pass  # reading the frame will say what is wrong
        return self._packet_origin

    def _start(self, frame: av.VideoFrame) -> float | None:
        stamp = frame.pts
        if stamp is None or self._without_display_times:
            stamp = frame.dts
        return None if stamp is None else (stamp - self._frame_origin) * self._tick

    def _length(self, frame: av.VideoFrame) -> float:
        return (frame.duration or 0) * self._tick or self._period

    def _decode(
        self, seconds: float | None, needless_before: float = -np.inf
    ) -> Iterator[tuple[float, av.VideoFrame | None]]:
        """Yields `(start, frame)` in display order, and None for lost frames.

        Frames with timestamps below `needless_before` are left out if no other frame
        refers to them.
        """
        self._move_to(seconds)
        context = self._stream.codec_context
        moves = self._moves
        start = 0.0
        packets = self._container.demux(self._stream)
        cut_short = False
        while True:
            try:
                packet = next(packets)
                # At the end of the file a packet cut short is the end, no damage.
                lost = [None] if cut_short and packet.size else []
                cut_short = packet.is_corrupt and packet.size > 0
                skips = packet.pts is not None and packet.pts < needless_before
                context.skip_frame = "NONREF" if skips else "DEFAULT"
                frames = lost if cut_short else lost + packet.decode()
            except (StopIteration, av.EOFError):
                return
            except av.FFmpegError as error:
                # A failed `next` ends the iterator, a failed `decode` does not.
                self._damage = error.strerror or type(error).__name__
                frames = [None]
            for frame in frames:
                if frame is None or frame.is_corrupt:
                    yield start, None
                    continue
                seconds = self._start(frame)
                start = start if seconds is None else seconds
                yield start, frame
                if self._moves != moves:
                    raise RuntimeError(
                        "This video was read elsewhere while iterating over its "
                        "frames. Open a second VideoReader for that."
                    )
                start += self._length(frame)

    def _needless_before(self, wanted_from: float) -> float:
        """Timestamp before which only frames that others refer to need decoding."""
        codec = self._stream.codec_context.name
        if self._without_display_times or codec not in _SKIPPING_CODECS:
            return -np.inf
        lead = _LEAD_FRAMES * self._period
        return (wanted_from - lead) / self._tick + self._frame_origin

    def _decode_all(self) -> Iterator[tuple[float, av.VideoFrame]]:
        empty = True
        for seconds, frame in self._decode(None):
            if frame is None:
                raise self._damage_error(seconds)
            empty = False
            yield seconds, frame
        if empty:
            raise VideoError(self.path, "holds no frames that can be decoded")

    def _seek_and_decode(self, times: np.ndarray, convert: Callable) -> list:
        """The frames on display at sorted `times`, which lie close together."""
        # A seek can land behind the time, or on a key frame whose followers refer to
        # frames before it (open groups of pictures): then from further back.
        for back_seconds in (0.0, _STEP_BACK_SECONDS):
            if times[0] > back_seconds:
                try:
                    return self._frames_shown_at(
                        times, times[0] - back_seconds, convert
                    )
                except VideoError:
                    continue
        return self._frames_shown_at(times, None, convert)

    def _frames_shown_at(
        self,
        times: np.ndarray,
        seek_seconds: float | None,
        convert: Callable[[av.VideoFrame], Any],
        *,
        every_frame: bool = False,
    ) -> list:
        """Decodes from `seek_seconds`, or from the start, up to the last time."""
        shown = []
        needless_before = -np.inf if every_frame else self._needless_before(times[0])

        def gap_before(wanted):
            # A frame that was left out may have stayed on display for long.
            late = wanted > end + self._period / 2
            return not shown and needless_before > -np.inf and late

        current, damaged = None, False
        # `current` is on display in [its start, end), and beyond that up to the next
        # frame, unless a frame was lost in between: then `good_until` is its end.
        end = good_until = 0.0
        for start, frame in self._decode(seek_seconds, needless_before):
            if frame is None:
                damaged, good_until = True, min(good_until, end)
                continue
            if current is None and seek_seconds is None and start <= self._period:
                start = 0.0
            while times[len(shown)] + CLOCK_SECONDS < start:
                wanted = times[len(shown)]
                if gap_before(wanted):
                    return self._frames_shown_at(
                        times, seek_seconds, convert, every_frame=True
                    )
                if current is None and not damaged:
                    self._damage = f"the first frame comes at {start:.2f} s"
                if wanted >= good_until:
                    raise self._damage_error(wanted)
                shown.append(convert(current))
                if len(shown) == len(times):
                    return shown
            damaged = damaged and not frame.key_frame
            current, end = frame, start + self._length(frame)
            good_until = -1.0 if damaged else np.inf
        if gap_before(times[0]):
            return self._frames_shown_at(times, seek_seconds, convert, every_frame=True)
        if current is None and not damaged:
            raise VideoError(self.path, "holds no frames that can be decoded")
        for wanted in times[len(shown) :]:
            if wanted >= good_until:
                raise self._damage_error(wanted)
            if wanted > end + self._period / 2:
                raise VideoError(
                    self.path, f"no frame at {wanted:.2f} s, it ends at {end:.2f} s"
                )
            shown.append(convert(current))
        return shown

    def _damage_error(self, seconds: float) -> VideoError:
        return VideoError(
            self.path, f"cannot decode the frame at {seconds:.2f} s ({self._damage})"
        )


class _RgbConverter:
    """Scales and turns frames; all get the size of the first, repeats cost nothing."""

    def __init__(self, reformatter: VideoReformatter, short_side: int | None):
        self._reformatter = reformatter
        self._short_side = short_side
        self._size = None
        self._last = (None, None)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Returns uint8 RGB of shape `(height, width, 3)`."""
        if self._last[0] is not frame:
            self._last = (frame, self._convert(frame))
        return self._last[1]

    def _convert(self, frame: av.VideoFrame) -> np.ndarray:
        if self._size is None:
            scale = 1.0
            if self._short_side is not None:
                scale = self._short_side / min(frame.height, frame.width)
            self._size = tuple(
                max(1, round(side * scale)) for side in (frame.height, frame.width)
            )
        height, width = self._size
        # threads=1: with its own threads swscale takes twenty times as long on small
        # frames, and the callers decode many videos side by side anyway.
        picture = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation="BICUBIC", threads=1
        )
        plane = picture.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        rgb = rows[:, : 3 * width].reshape(height, width, 3)
        return np.rot90(rgb, _quarter_turns(frame))


def _quarter_turns(frame: av.VideoFrame) -> int:
    return round(frame.rotation / 90) % 4
