"""One open video file as packets: its rate, its true length, and where to seek.

Header fields of video files are promises, not facts: frame counts are off, durations
are missing, files are cut short. So the length is measured on the packets, which costs
reading but no decoding.
"""

import functools
import os
from collections.abc import Sequence

import av
import numpy as np

from keras_dynamonet.data.video_file import VideoError, open_video

# Timestamps are rounded to the clock of the container, at worst a millisecond (mkv,
# flv): a frame that starts within one millisecond after `t` counts as shown at `t`.
CLOCK_SECONDS = 1e-3
# Decoding on is cheaper than seeking over a gap shorter than this.
_SEEK_GAP_SECONDS = 0.5
# The same, when the container has no index that says where its key frames are.
_BLIND_SEEK_GAP_SECONDS = 5.0
_MAX_PLAUSIBLE_FPS = 1000.0
_FALLBACK_FPS = 25.0
# More packets than any codec reorders.
_REORDERED_PACKETS = 16


def check_times(times_seconds: Sequence[float]) -> np.ndarray:
    """Times as an array: float64, shape `(times,)`.

    Raises:
        ValueError: There are none, or one is negative or not finite.
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
    return times


class VideoTimeline:
    """An open video file, measured without decoding. Use as a context manager.

    Times are seconds since the first frame.

    Args:
        path: The video file.
        num_threads: Decoder threads, for classes that decode.

    Raises:
        VideoError: The file is missing, empty, or holds no video.
    """

    def __init__(self, path: str | os.PathLike, *, num_threads: int = 1):
        self.path = os.fspath(path)
        self._num_threads = num_threads
        self._container = None
        self._moves = 0
        self._open()
        # AVI stores no display times: FFmpeg guesses them, and wrongly for reordered
        # frames. Decoding times are right there, late by a constant delay.
        self._without_display_times = self._container.format.name == "avi"
        self._packet_origin = self._find_packet_origin()

    def __enter__(self):
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
            VideoError: The file holds no frames, or its timestamps are damaged.
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
        end = max(end for _, end in spans)
        if end <= 0:
            raise VideoError(self.path, "its timestamps make no sense (damaged?)")
        return end

    # For the sub-class that decodes. `seconds` counts from the first frame.

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
            try:
                self._container.seek(
                    self._packet_stamp(seconds + CLOCK_SECONDS),
                    backward=True,
                    stream=self._stream,
                )
                self._at_start = False
                return
            except av.FFmpegError:
                pass  # this file cannot seek: start over
        if not self._at_start:
            self._open()
        self._at_start = False

    @property
    def _period(self) -> float:
        """Seconds from frame to frame, where the frames do not say."""
        return 1.0 / (self._header_fps or _FALLBACK_FPS)

    def _split_into_runs(self, times: np.ndarray) -> list[np.ndarray]:
        """Cuts sorted times where seeking is cheaper than decoding on."""
        index = self._stream.index_entries
        cuts = []
        for k in np.flatnonzero(np.diff(times) > _SEEK_GAP_SECONDS) + 1:
            entry = -1
            if len(index):
                entry = index.search_timestamp(self._packet_stamp(times[k]))
            if entry >= 0:
                if self._packet_seconds(index[entry].timestamp) > times[k - 1]:
                    cuts.append(k)
            elif times[k] - times[k - 1] > _BLIND_SEEK_GAP_SECONDS:
                cuts.append(k)
        return np.split(times, cuts)

    # Packets.

    @functools.cached_property
    def _header_fps(self) -> float | None:
        for rate in (self._stream.average_rate, self._stream.guessed_rate):
            if rate and 0 < rate <= _MAX_PLAUSIBLE_FPS:
                return float(rate)
        return None

    def _packet_seconds(self, stamp: int) -> float:
        return (stamp - self._packet_origin) * self._tick

    def _packet_stamp(self, seconds: float) -> int:
        return self._packet_origin + int(seconds / self._tick)

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
                if len(stamps) == _REORDERED_PACKETS:
                    break
        except av.FFmpegError:
            pass  # what came before the damage is all there is
        return min(stamps, default=0)

    def _index_is_complete(self) -> bool:
        """Whether the index agrees with the header and lies within the file."""
        index = self._stream.index_entries
        if not self._stream.frames or len(index) != self._stream.frames:
            return False
        last = index[len(index) - 1]
        return last.pos + last.size <= self._container.size

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
                end = start + ((packet.duration or 0) * self._tick or self._period)
                spans.append((start, end))
        except av.FFmpegError:
            pass  # the frames before the damage are what the file holds
        return spans
