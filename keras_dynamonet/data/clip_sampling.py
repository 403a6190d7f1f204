"""Which moments of a video make a clip: arithmetic on times, no files, no pixels.

A clip of `n = num_frames + 1` frames samples the video every `step` seconds. Starts lie
on the grid of source frames and samples in the middle of a source frame's display time,
so that rounded timestamps never repeat or drop a frame:

```
source frames   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |     fps = 8, duration 1 s
clip                  x   .   x   .   x               start 1, fps=4, n = 3
```
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keras_dynamonet.data.video_file import VideoTooShortError

SHORT_VIDEO_POLICIES = ("loop", "hold", "skip")


class Timeline(Protocol):
    """What sampling needs to know of a video: `VideoInfo` and `VideoReader` have it."""

    path: str
    fps: float
    duration_seconds: float


@dataclass(frozen=True)
class ClipSpec:
    """The shape and pace of a clip.

    Attributes:
        num_frames: T, the frames that the network observes. Clips carry T + 1 frames:
            the last is the target of the forecast.
        size: Height and width in pixels.
        fps: Frames per second of the clip, whatever the source has; from a slower
            source, frames repeat. None samples every `stride`-th source frame instead.
        stride: Source frames from one clip frame to the next, if `fps` is None. In a
            video of variable rate: periods of its average rate.
        short_videos: What to do with a video shorter than a clip: `"loop"` starts it
            over, `"hold"` repeats its last frame, `"skip"` leaves it out.

    Raises:
        ValueError: A value is out of range.

    Example:

    >>> ClipSpec(num_frames=16, size=112, fps=12.0).frames_per_clip
    17
    """

    num_frames: int
    size: int
    fps: float | None = None
    stride: int = 1
    short_videos: str = "loop"

    def __post_init__(self):
        for name in ("num_frames", "size", "stride"):
            value = getattr(self, name)
            if value != int(value) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value}."
                )
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise ValueError(
                f"`fps` must be a positive number or None. Received: fps={self.fps}."
            )
        if self.fps is not None and self.stride != 1:
            raise ValueError(
                "`fps` and `stride` exclude each other: leave `stride` at 1 or `fps` "
                f"at None. Received: fps={self.fps}, stride={self.stride}."
            )
        if self.short_videos not in SHORT_VIDEO_POLICIES:
            raise ValueError(
                f"`short_videos` must be one of {SHORT_VIDEO_POLICIES}. "
                f"Received: short_videos={self.short_videos!r}."
            )

    @property
    def frames_per_clip(self) -> int:
        """T + 1."""
        return self.num_frames + 1

    def step_seconds(self, source_fps: float) -> float:
        """Seconds from one frame of the clip to the next."""
        return self.stride / source_fps if self.fps is None else 1.0 / self.fps


def count_starts(video: Timeline, spec: ClipSpec) -> int:
    """Number of source frames at which a whole clip can start; 0 if too short.

    The last sample must lie within the video: with samples in the middle of source
    frames, `(start + 0.5) / fps + (n - 1) * step <= duration`.

    Example:

    >>> from types import SimpleNamespace
    >>> video = SimpleNamespace(path="a.mp4", fps=8.0, duration_seconds=1.0)
    >>> count_starts(video, ClipSpec(num_frames=2, size=64, fps=4.0))
    4
    """
    steps = spec.frames_per_clip - 1
    slack = video.duration_seconds - steps * spec.step_seconds(video.fps)
    return max(0, int(np.floor(slack * video.fps + 0.5 + 1e-6)))


def random_start(video: Timeline, spec: ClipSpec, rng: np.random.Generator) -> float:
    """Draws a start in seconds, uniformly over the possible ones; 0 if too short."""
    return int(rng.integers(max(1, count_starts(video, spec)))) / video.fps


def uniform_starts(video: Timeline, spec: ClipSpec, num_clips: int) -> np.ndarray:
    """Spreads clips evenly over the video, margins included; one clip is centred.

    ```
    num_clips=1   |      [====]      |
    num_clips=2   |  [====]  [====]  |
    ```

    Args:
        video: The video.
        spec: The clip.
        num_clips: Number of clips, at least 1. In a short video they overlap.

    Returns:
        Starts in seconds, float64, shape `(num_clips,)`; zeros if it is too short.

    Raises:
        ValueError: `num_clips` is less than 1.

    Example:

    >>> from types import SimpleNamespace
    >>> video = SimpleNamespace(path="a.mp4", fps=10.0, duration_seconds=3.0)
    >>> uniform_starts(video, ClipSpec(num_frames=9, size=64), 3).tolist()
    [0.3, 1.0, 1.7]
    """
    if num_clips < 1:
        raise ValueError(f"`num_clips` must be at least 1. Received: {num_clips}.")
    last = max(0, count_starts(video, spec) - 1)
    centres = (np.arange(num_clips) + 0.5) / num_clips
    return np.floor(centres * last + 0.5) / video.fps


def centred_start(video: Timeline, spec: ClipSpec) -> float:
    """Start in seconds of the clip in the middle of the video."""
    return float(uniform_starts(video, spec, 1)[0])


def clip_times(video: Timeline, spec: ClipSpec, start_seconds: float) -> np.ndarray:
    """Moments to read for the clip that starts at `start_seconds`.

    A video shorter than the clip follows `spec.short_videos`; the start is then 0.

    Args:
        video: The video.
        spec: The clip.
        start_seconds: From `random_start`, `centred_start` or `uniform_starts`.

    Returns:
        Seconds since the first frame, float64, shape `(num_frames + 1,)`.

    Raises:
        VideoTooShortError: The video is shorter and the policy is `"skip"`.

    Example:

    >>> from types import SimpleNamespace
    >>> video = SimpleNamespace(path="a.mp4", fps=10.0, duration_seconds=0.3)
    >>> clip_times(video, ClipSpec(num_frames=4, size=64), 0.0).round(2).tolist()
    [0.05, 0.15, 0.25, 0.05, 0.15]
    """
    step = spec.step_seconds(video.fps)
    samples = np.arange(spec.frames_per_clip)
    half_frame = 0.5 / video.fps
    if count_starts(video, spec):
        return start_seconds + half_frame + samples * step
    # Samples k = 0 ... whole-1 fit: half_frame + k * step <= duration.
    whole = 1 + int((video.duration_seconds - half_frame + 1e-9) / step)
    if spec.short_videos == "skip":
        needed = (spec.frames_per_clip - 1) * step + 1.0 / video.fps
        raise VideoTooShortError(
            video.path,
            f"lasts {video.duration_seconds:.2f} s, a clip needs {needed:.2f} s",
        )
    if spec.short_videos == "hold":
        return half_frame + np.minimum(samples, whole - 1) * step
    return half_frame + samples % whole * step
