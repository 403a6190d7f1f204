"""Actions of videos, and of the moments inside long ones."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamonet.data.decoding import iterate_frames
from keras_dynamonet.data.video_file import VideoError
from keras_dynamonet.training.evaluation import Protocol
from keras_dynamonet.training.probabilities import softmax
from keras_dynamonet.training.trained_model import TrainedModel
from keras_dynamonet.training.video_outputs import VideoDescriber
from keras_dynamonet.training.windows import Frame, Window, sliding_windows


@dataclass(frozen=True)
class VideoPrediction:
    """What a model says of one video.

    Args:
        path: The video.
        probabilities: One a class, or `None` if the video could not be read.
        error: Why not.
    """

    path: str
    probabilities: np.ndarray | None
    error: str | None = None


@dataclass(frozen=True)
class Moment:
    """What a model says of one window of a video.

    Args:
        start_seconds: Of the window's first frame.
        end_seconds: Of its last frame.
        probabilities: One a class.
    """

    start_seconds: float
    end_seconds: float
    probabilities: np.ndarray


@dataclass(frozen=True)
class Segment:
    """Consecutive windows with the same most probable class.

    Args:
        start_seconds: Start of the first window.
        end_seconds: End of the last window.
        label: Index of the class.
        probability: Its mean probability.
    """

    start_seconds: float
    end_seconds: float
    label: int
    probability: float


def predict_videos(
    trained: TrainedModel,
    paths: Sequence[str | os.PathLike],
    *,
    protocol: Protocol | None = None,
    batch_size: int = 16,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[VideoPrediction]:
    """Classifies whole videos.

    Args:
        trained: The model.
        paths: The videos.
        protocol: How to judge a video. Default: its middle clip, centre crop.
        batch_size: Views to compute at a time.
        workers: Threads that read videos. Default: one for each processor.
        progress: Called with views done and views in all.

    Returns:
        One prediction a path, in order; unreadable videos carry an error.
    """
    protocol = protocol or Protocol()
    views = len(paths) * protocol.num_clips * protocol.num_crops
    describe = VideoDescriber(
        trained,
        ("logits",),
        protocol=protocol,
        batch_size=min(batch_size, max(1, views)),
        workers=workers,
    )
    return [
        VideoPrediction(video.path, video.means and video.means["logits"], video.error)
        for video in describe(paths, progress)
    ]


def video_timeline(
    trained: TrainedModel,
    path: str | os.PathLike,
    *,
    hop_seconds: float | None = None,
    batch_size: int = 8,
) -> Iterator[Moment]:
    """Classifies a video moment by moment, reading it once from start to end.

    Args:
        trained: The model.
        path: The video, of any length.
        hop_seconds: From one window to the next. Default: half a window.
        batch_size: Windows to compute at a time.

    Yields:
        The moments, in order.

    Raises:
        VideoError: If the video cannot be read.
    """
    frames = iterate_frames(path, short_side=trained.spec.size)
    count = 0
    for moment in frames_timeline(
        trained, frames, hop_seconds=hop_seconds, batch_size=batch_size
    ):
        count += 1
        yield moment
    if not count:
        raise VideoError(path, "is shorter than a clip")


def frames_timeline(
    trained: TrainedModel,
    frames: Iterable[Frame],
    *,
    hop_seconds: float | None = None,
    batch_size: int = 1,
) -> Iterator[Moment]:
    """Classifies a stream of frames, window by window as they come.

    Args:
        trained: The model.
        frames: `(seconds, frame)` in order of time; uint8 RGB of any size.
        hop_seconds: From one window to the next. Default: half a window.
        batch_size: Windows to wait for before computing.

    Yields:
        The moments, in order; those before an error in the stream come before it.
    """
    batch: list[Window] = []
    try:
        for window in sliding_windows(frames, trained.spec, hop_seconds=hop_seconds):
            batch.append(window)
            if len(batch) == batch_size:
                yield from _predict_windows(trained, batch)
                batch = []
    except VideoError:
        yield from _predict_windows(trained, batch)
        raise
    yield from _predict_windows(trained, batch)


def merge_moments(moments: Sequence[Moment]) -> list[Segment]:
    """Joins neighbouring moments that agree on the most probable class.

    Where two segments meet, windows overlap: the border is put in the middle.

    Example:

    >>> walk, run = np.array([0.8, 0.2]), np.array([0.4, 0.6])
    >>> moments = [Moment(0, 2, walk), Moment(1, 3, walk), Moment(2, 4, run)]
    >>> [(s.start_seconds, s.end_seconds, s.label) for s in merge_moments(moments)]
    [(0, 2.5, 0), (2.5, 4, 1)]
    """
    groups = [
        list(group)
        for _, group in itertools.groupby(moments, lambda m: m.probabilities.argmax())
    ]
    borders = [
        (before[-1].end_seconds + after[0].start_seconds) / 2
        for before, after in itertools.pairwise(groups)
    ]
    starts = [group[0].start_seconds for group in groups[:1]] + borders
    ends = borders + [group[-1].end_seconds for group in groups[-1:]]
    segments = []
    for group, start, end in zip(groups, starts, ends, strict=True):
        mean = np.mean([moment.probabilities for moment in group], axis=0)
        label = int(group[0].probabilities.argmax())
        segments.append(Segment(start, end, label, float(mean[label])))
    return segments


def _predict_windows(trained: TrainedModel, windows: list[Window]) -> list[Moment]:
    if not windows:
        return []
    clips = np.stack([window.clip for window in windows])
    rows = softmax(trained.model.predict_on_batch(clips)["logits"])
    return [
        Moment(window.start_seconds, window.end_seconds, row)
        for window, row in zip(windows, rows, strict=True)
    ]
