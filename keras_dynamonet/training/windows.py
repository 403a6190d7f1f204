"""Sliding windows over a stream of frames, whatever its rate and length."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.clip_sampling import ClipSpec
from keras_dynamonet.data.transforms import centre_crop_resize

Frame = tuple[float, np.ndarray]
"""Start in seconds, and uint8 RGB `(height, width, 3)`."""

# Timestamps are rounded to the clock of their container, at worst a millisecond.
_CLOCK = 1e-3


@dataclass(frozen=True)
class Window:
    """Consecutive frames at the pace of a model's clips.

    Args:
        start_seconds: Of the first frame.
        end_seconds: Of the last frame.
        clip: uint8 RGB, `(num_frames, size, size, 3)`.
    """

    start_seconds: float
    end_seconds: float
    clip: np.ndarray


def sliding_windows(
    frames: Iterable[Frame], spec: ClipSpec, *, hop_seconds: float | None = None
) -> Iterator[Window]:
    """Cuts a stream of frames into overlapping windows as it comes.

    A last window ends with the stream, so that its end is covered too. A stream that is
    shorter than a window gives one, looped or held as `spec.short_videos` says.

    Args:
        frames: The stream, in order of time.
        spec: The clips of the model; windows have `num_frames` frames.
        hop_seconds: From the start of a window to that of the next, rounded to whole
            frames of the clip. Default: half a window.

    Yields:
        The windows, in order.

    Raises:
        ValueError: If `hop_seconds` is not positive.

    Example:

    >>> frames = [(k / 10, np.zeros((8, 8, 3), np.uint8)) for k in range(10)]
    >>> spec = ClipSpec(num_frames=4, size=8, fps=10.0)
    >>> windows = sliding_windows(frames, spec, hop_seconds=0.3)
    >>> [(window.start_seconds, window.end_seconds) for window in windows]
    [(0.0, 0.3), (0.3, 0.6), (0.6, 0.9)]
    """
    if hop_seconds is not None and not hop_seconds > 0:
        raise ValueError(f"`hop_seconds` must be positive. Received: {hop_seconds}.")
    length, kept, since_last = spec.num_frames, [], None
    for seconds, frame in _at_pace(frames, spec):
        kept.append((seconds, centre_crop_resize(frame[None], spec.size)[0]))
        kept = kept[-length:]
        since_last = since_last and since_last + 1
        if len(kept) < length:
            continue
        if since_last is None or since_last > _hop_frames(kept, hop_seconds):
            yield _window(kept)
            since_last = 1
    if since_last is not None:
        if since_last > 1:
            yield _window(kept)
    elif kept and spec.short_videos != "skip":
        loop = spec.short_videos == "loop"
        padding = [kept[k % len(kept) if loop else -1] for k in range(length)]
        yield _window((kept + padding)[:length], end=kept[-1][0])


def _at_pace(frames: Iterable[Frame], spec: ClipSpec) -> Iterator[Frame]:
    """Every `stride`-th frame, or the one on display at each multiple of `1 / fps`."""
    if spec.fps is None:
        yield from itertools.islice(frames, 0, None, spec.stride)
        return
    samples, first, previous = 0, None, None
    for seconds, frame in frames:
        first = seconds if first is None else first
        while previous is not None and first + samples / spec.fps < seconds - _CLOCK:
            yield first + samples / spec.fps, previous
            samples += 1
        previous = frame
    if previous is not None and first + samples / spec.fps <= seconds + _CLOCK:
        yield first + samples / spec.fps, previous


def _hop_frames(kept: list[Frame], hop_seconds: float | None) -> int:
    if hop_seconds is None:
        return max(1, len(kept) // 2)
    step = (kept[-1][0] - kept[0][0]) / max(1, len(kept) - 1)
    return max(1, round(hop_seconds / step)) if step else 1


def _window(kept: list[Frame], *, end: float | None = None) -> Window:
    end = kept[-1][0] if end is None else end
    return Window(kept[0][0], end, np.stack([frame for _, frame in kept]))
