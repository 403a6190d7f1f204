"""One open video file: its true length, and frames by the time they are shown at.

Header fields of video files are promises, not facts: frame counts are off, durations
are missing, files are cut short. So the length is measured on the packets, and frames
are found by their timestamps, never by counting.
"""

import functools
import os
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_dynamonet.data.video_file import VideoError, open_video

# Timestamps are rounded to the clock of the container, at worst a millisecond (mkv,
# flv): a frame that starts within one millisecond after `t` counts as shown at `t`.
_CLOCK_SECONDS = 1e-3
# Decoding on is cheaper than seeking over a gap shorter than this.
_SEEK_GAP_SECONDS = 0.5
# The same, when the container has no index that says where its key frames are.
_BLIND_SEEK_GAP_SECONDS = 5.0
# Where a seek goes that did not work at first: back by more than most key frames.
_STEP_BACK_SECONDS = 12.0
_MAX_PLAUSIBLE_FPS = 1000.0
_FALLBACK_FPS = 25.0


class VideoReader:
    """Reads frames of one video file by time. Use as a context manager.

    Times are seconds since the first frame. Frames are uint8 RGB in display
    orientation: rotation metadata is applied, pixel aspect ratio is not.

    A decoding error damages every frame up to the next key frame; asking for such a
    frame raises `VideoError`, so damage never turns into grey or black clips.

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
        self.path = os.fspath(path)
        self._num_threads = num_threads
        self._reformatter = VideoReformatter()
        self._container = None
        self._damage = "damaged data"
        self._moves = 0
        self._open()
        # AVI stores no display times: FFmpeg guesses them, and wrongly for reordered
        # frames. Decoding times are right there, late by a constant delay.
        self._without_display_times = self._container.format.name == "avi"
        self._packet_origin = self._find_packet_origin()
        self._origin = self._find_origin()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def codec(self) -> str:
        """Name of the codec, e.g. `"h264"`."""
        return self._stream.codec_context.name

    @property
    def coded_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels, before rotation."""
        return self._stream.codec_context.height, self._stream.codec_context.width

    @functools.cached_property
    def fps(self) -> float:
        """Average frames per second."""
        if self._header_fps is not None:
            return self._header_fps
        times = self.frame_times
        if len(times) > 1 and times[-1] > times[0]:
            return float((len(times) - 1) / (times[-1] - times[0]))
        return _FALLBACK_FPS

    @functools.cached_property
    def frame_times(self) -> np.ndarray:
        """Start of every frame in seconds, sorted: float64, shape `(frames,)`.

        Reads the whole file, but decodes nothing.
        """
        return np.sort([start for start, _ in self._scan_packets(None)])

    @property
    def header_duration_seconds(self) -> float | None:
        """The duration that the header promises, or None if it says nothing."""
        if self._without_display_times and self._stream.frames:
            # FFmpeg shortens the duration of an AVI file that is cut short.
            return self._stream.frames * self._period
        if self._stream.duration:
            return self._stream.duration * self._tick
        if self._container.duration:
            return self._container.duration / av.time_base
        return None

    @functools.cached_property
    def duration_seconds(self) -> float:
        """From the start of the first frame to the end of the last, measured.

        Raises:
            VideoError: The file holds no frames.
        """
        promised = self.header_duration_seconds
        if promised and self._index_is_complete():
            return promised
        spans = []
        if promised:
            # The packets from the last key frame on are enough to know the end.
            spans = self._scan_packets(promised)
        spans = spans or self._scan_packets(None)
        if not spans:
            raise VideoError(self.path, "holds no video frames")
        return max(end for _, end in spans)

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
        times = np.asarray(times_seconds, np.float64)
        if times.ndim != 1 or not times.size:
            raise ValueError(
                "`times_seconds` must be a non-empty list of numbers. "
                f"Received: an array of shape {times.shape}."
            )
        if not np.all(np.isfinite(times)) or times.min() < 0:
            raise ValueError(
                "`times_seconds` must be finite and not negative. "
                f"Received: {times.tolist()}."
            )
        times, place = np.unique(times, return_inverse=True)
        frames = []
        for run in self._split_into_runs(times):
            frames += self._seek_and_decode(run)
        return self._to_rgb(frames, short_side)[place]

    def iterate_frames(
        self, *, short_side: int | None = None
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yields `(seconds, frame)` from the first frame to the last.

        Yields:
            Start of the frame in seconds and uint8 RGB of shape `(height, width, 3)`.

        Raises:
            VideoError: A frame cannot be decoded, or there is none.
        """
        count = 0
        for seconds, frame in self._decode(None):
            if frame is None:
                raise self._damage_error(seconds)
            count += 1
            yield seconds, self._to_rgb([frame], short_side)[0]
        if not count:
            raise VideoError(self.path, "holds no frames that can be decoded")

    def count_frames(self) -> int:
        """Decodes the whole file and returns the number of frames.

        Raises:
            VideoError: A frame cannot be decoded, or there is none.
        """
        count = 0
        for seconds, frame in self._decode(None):
            if frame is None:
                raise self._damage_error(seconds)
            count += 1
        if not count:
            raise VideoError(self.path, "holds no frames that can be decoded")
        return count

    def rotation_degrees(self) -> int:
        """Counter-clockwise turn asked for by the metadata: 0, 90, 180 or 270.

        Raises:
            VideoError: The first frame cannot be decoded.
        """
        (frame,) = self._frames_shown_at(np.zeros(1), None)
        return 90 * _quarter_turns(frame)

    # Positions in the file. `seconds` counts from the first frame.

    def _open(self) -> None:
        # No `close` first: an iterator may still hold packets of the old container.
        self._container, self._stream = open_video(
            self.path, num_threads=self._num_threads
        )
        # Seconds in one tick of the stream's timestamps.
        self._tick = float(self._stream.time_base or 1 / av.time_base)
        self._at_start = True

    def _move_to(self, seconds: float | None) -> None:
        """Goes to the key frame at or before `seconds`; None is the very start."""
        self._moves += 1
        if seconds is not None:
            stamp = self._packet_origin + int((seconds + _CLOCK_SECONDS) / self._tick)
            try:
                self._container.seek(stamp, backward=True, stream=self._stream)
                self._at_start = False
                return
            except av.FFmpegError:
                pass  # this file cannot seek: start over
        if not self._at_start:
            self._open()
        self._at_start = False

    @functools.cached_property
    def _header_fps(self) -> float | None:
        for rate in (self._stream.average_rate, self._stream.guessed_rate):
            if rate and 0 < rate <= _MAX_PLAUSIBLE_FPS:
                return float(rate)
        return None

    @property
    def _period(self) -> float:
        """Seconds from frame to frame, where the frames do not say."""
        return 1.0 / (self._header_fps or _FALLBACK_FPS)

    def _find_packet_origin(self) -> int:
        """Timestamp of the first packet, in ticks."""
        if self._stream.start_time is not None:
            return self._stream.start_time
        self._at_start = False
        stamps = []
        try:
            for packet in self._container.demux(self._stream):
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is not None:
                    stamps.append(stamp)
                if len(stamps) == 16:  # more than any codec reorders
                    break
        except av.FFmpegError:
            pass  # what came before the damage is all there is
        return min(stamps, default=0)

    def _find_origin(self) -> int:
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

    def _packet_seconds(self, stamp: int) -> float:
        return (stamp - self._packet_origin) * self._tick

    def _frame_seconds(self, frame: av.VideoFrame) -> float | None:
        stamp = frame.pts
        if stamp is None or self._without_display_times:
            stamp = frame.dts
        return None if stamp is None else (stamp - self._origin) * self._tick

    def _index_is_complete(self) -> bool:
        """Whether the index agrees with the header and lies within the file."""
        index = self._stream.index_entries
        if not self._stream.frames or len(index) != self._stream.frames:
            return False
        last = index[len(index) - 1]
        return last.pos + last.size <= os.path.getsize(self.path)

    def _scan_packets(self, seconds: float | None) -> list[tuple[float, float]]:
        """`(start, end)` of the frames from the key frame before `seconds` on."""
        self._move_to(seconds)
        spans, end = [], 0.0
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size or packet.is_corrupt or packet.is_discard:
                    continue
                stamp = packet.dts if packet.pts is None else packet.pts
                start = end if stamp is None else self._packet_seconds(stamp)
                length = (packet.duration or 0) * self._tick
                end = start + (length or self._period)
                spans.append((start, end))
        except av.FFmpegError:
            pass  # the frames before the damage are what the file holds
        return spans

    def _split_into_runs(self, times: np.ndarray) -> list[np.ndarray]:
        """Cuts sorted times where seeking is cheaper than decoding on."""
        index = self._stream.index_entries
        cuts = []
        for k in np.flatnonzero(np.diff(times) > _SEEK_GAP_SECONDS) + 1:
            entry = -1
            if len(index):
                entry = index.search_timestamp(
                    self._packet_origin + int(times[k] / self._tick)
                )
            if entry >= 0:
                if self._packet_seconds(index[entry].timestamp) > times[k - 1]:
                    cuts.append(k)
            elif times[k] - times[k - 1] > _BLIND_SEEK_GAP_SECONDS:
                cuts.append(k)
        return np.split(times, cuts)

    # Decoding.

    def _decode(
        self, seconds: float | None
    ) -> Iterator[tuple[float, av.VideoFrame | None]]:
        """Yields `(start, frame)` in display order, and None for lost frames."""
        self._move_to(seconds)
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
                seconds = self._frame_seconds(frame)
                start = start if seconds is None else seconds
                yield start, frame
                if self._moves != moves:
                    raise RuntimeError(
                        "This video was read elsewhere while iterating over its "
                        "frames. Open a second VideoReader for that."
                    )
                start += self._length(frame)

    def _length(self, frame: av.VideoFrame) -> float:
        return (frame.duration or 0) * self._tick or self._period

    def _seek_and_decode(self, times: np.ndarray) -> list[av.VideoFrame]:
        """The frames on display at sorted `times`, which lie close together."""
        # A seek can land behind the time, or on a key frame whose followers refer to
        # frames before it (open groups of pictures): then from further back.
        for back_seconds in (0.0, _STEP_BACK_SECONDS):
            if times[0] > back_seconds:
                try:
                    return self._frames_shown_at(times, times[0] - back_seconds)
                except VideoError:
                    continue
        return self._frames_shown_at(times, None)

    def _frames_shown_at(
        self, times: np.ndarray, seek_seconds: float | None
    ) -> list[av.VideoFrame]:
        """Decodes from `seek_seconds`, or from the start, up to the last time."""
        shown: list[av.VideoFrame] = []
        current, damaged = None, False
        # `current` is on display in [its start, end), and beyond that up to the next
        # frame, unless a frame was lost in between: then `good_until` is its end.
        end = good_until = 0.0
        for start, frame in self._decode(seek_seconds):
            if frame is None:
                damaged, good_until = True, min(good_until, end)
                continue
            if current is None and seek_seconds is None and start <= self._period:
                start = 0.0
            while times[len(shown)] + _CLOCK_SECONDS < start:
                wanted = times[len(shown)]
                if wanted >= good_until:
                    raise self._damage_error(wanted)
                shown.append(current)
                if len(shown) == len(times):
                    return shown
            damaged = damaged and not frame.key_frame
            current, end = frame, start + self._length(frame)
            good_until = -1.0 if damaged else np.inf
        for wanted in times[len(shown) :]:
            if wanted >= good_until:
                raise self._damage_error(wanted)
            if wanted > end + self._period / 2:
                raise VideoError(
                    self.path, f"no frame at {wanted:.2f} s, it ends at {end:.2f} s"
                )
            shown.append(current)
        return shown

    def _damage_error(self, seconds: float) -> VideoError:
        return VideoError(
            self.path, f"cannot decode the frame at {seconds:.2f} s ({self._damage})"
        )

    def _to_rgb(
        self, frames: Sequence[av.VideoFrame], short_side: int | None
    ) -> np.ndarray:
        """Scales, turns and stacks frames: uint8 `(frames, height, width, 3)`."""
        height, width = frames[0].height, frames[0].width
        if short_side is not None:
            scale = short_side / min(height, width)
            height = max(1, round(height * scale))
            width = max(1, round(width * scale))
        clip = np.empty((len(frames), height, width, 3), np.uint8)
        for k, frame in enumerate(frames):
            if k and frame is frames[k - 1]:
                clip[k] = clip[k - 1]
                continue
            # threads=1: with its own threads swscale takes twenty times as long on
            # small frames, and the callers decode many videos side by side anyway.
            picture = self._reformatter.reformat(
                frame, width, height, "rgb24", interpolation="BICUBIC", threads=1
            )
            plane = picture.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
            clip[k] = rows[:, : 3 * width].reshape(height, width, 3)
        return np.rot90(clip, _quarter_turns(frames[0]), axes=(1, 2))


def _quarter_turns(frame: av.VideoFrame) -> int:
    return round(frame.rotation / 90) % 4
