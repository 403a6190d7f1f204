"""What a report can show, as plain arrays and numbers.

Nothing here knows where the numbers come from. Every part but the title is optional: a
part that is absent leaves no gap on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Classification:
    """How well labels were recognised on a set of videos.

    Args:
        class_names: One name a class.
        confusion: Counts of shape `(classes, classes)`; rows are the true classes,
            columns the predicted ones.
        order_blind_ceiling: The best accuracy in `[0, 1]` that a model can reach
            without seeing the order of the frames, where that is known.
        opposites: Pairs of class indices whose videos are one another's reversal.
        protocol: How a video was judged, e.g. `"1 centred clip a video, 1 crop"`.
        top5_accuracy: Share of videos with the true class among the first five.
        clip_accuracy: Accuracy of single clips, where videos were judged by several.

    Raises:
        ValueError: If the shapes disagree, a count is negative, nothing was counted,
            or an index in `opposites` is out of range.

    Example:

    >>> Classification(["sit", "rise"], np.array([[8, 2], [1, 9]])).accuracy
    0.85
    """

    class_names: Sequence[str]
    confusion: np.ndarray
    order_blind_ceiling: float | None = None
    opposites: Sequence[tuple[int, int]] = ()
    protocol: str = ""
    top5_accuracy: float | None = None
    clip_accuracy: float | None = None

    def __post_init__(self):
        confusion = np.asarray(self.confusion)
        classes = len(self.class_names)
        if confusion.shape != (classes, classes):
            raise ValueError(
                "`confusion` must have one row and one column a class. "
                f"Received: shape={confusion.shape}, classes={classes}."
            )
        if (confusion < 0).any() or confusion.sum() == 0:
            raise ValueError(
                "`confusion` must hold counts, at least one of them above zero. "
                f"Received: sum={confusion.sum()}, smallest={confusion.min()}."
            )
        if any(not 0 <= index < classes for pair in self.opposites for index in pair):
            raise ValueError(
                "`opposites` must hold pairs of class indices. "
                f"Received: {self.opposites!r}, classes={classes}."
            )
        object.__setattr__(self, "confusion", confusion.astype(np.int64))

    @property
    def videos(self) -> int:
        """Number of videos judged."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """Number of videos whose class was named right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of videos whose class was named right, in `[0, 1]`."""
        return self.correct / self.videos

    @property
    def chance(self) -> float:
        """Accuracy of guessing among the classes evenly."""
        return 1.0 / len(self.class_names)

    @property
    def accuracy_up_to_direction(self) -> float | None:
        """Accuracy when a class and its opposite count as one, or `None`."""
        if not self.opposites:
            return None
        swapped = sum(
            self.confusion[a, b] + self.confusion[b, a] for a, b in self.opposites
        )
        return (self.correct + int(swapped)) / self.videos

    def confused_pairs(self, count: int) -> list[tuple[int, int, int]]:
        """The most frequent mistakes as `(true, predicted, videos)`, most first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(wrong, axis=None, kind="stable")[::-1][:count]
        pairs = [divmod(int(place), wrong.shape[1]) for place in order]
        return [(t, p, int(wrong[t, p])) for t, p in pairs if wrong[t, p] > 0]


@dataclass(frozen=True)
class Bounds:
    """Quality of predicted frames between what is free and what is possible.

    Args:
        floor: PSNR in dB of copying the last frame.
        model: PSNR in dB of the predicted frame.
        ceiling: PSNR in dB of the best filter of the same size, fitted to the real
            next frame by least squares; `None` where it was not computed.

    Example:

    >>> round(Bounds(floor=26.0, model=26.5, ceiling=28.0).share_of_way, 3)
    0.25
    """

    floor: float
    model: float
    ceiling: float | None = None

    @property
    def gain(self) -> float:
        """Decibels gained over copying the last frame."""
        return self.model - self.floor

    @property
    def share_of_way(self) -> float | None:
        """How far the model gets from floor (0) to ceiling (1)."""
        if self.ceiling is None or self.ceiling <= self.floor:
            return None
        return self.gain / (self.ceiling - self.floor)


@dataclass(frozen=True)
class FramePrediction:
    """Prediction quality, observed transitions and the unseen last frame apart.

    Args:
        observed: Mean over the transitions whose target the model has seen.
        unseen: Mean over the forecast of the one frame it has not seen.
    """

    observed: Bounds | None = None
    unseen: Bounds | None = None


@dataclass(frozen=True)
class FrameStrip:
    """One predicted frame beside the real one.

    Args:
        title: What the clip shows, e.g. `"walk, frame 8"`.
        previous: The frame the filter was applied to, `(height, width, 3)`, floats in
            `[0, 1]` or uint8.
        real: The real next frame, likewise.
        predicted: The predicted next frame, likewise.
        bounds: PSNR of this very frame.
        unseen: Whether the real next frame was hidden from the model.

    Raises:
        ValueError: If the three frames differ in shape.
    """

    title: str
    previous: np.ndarray
    real: np.ndarray
    predicted: np.ndarray
    bounds: Bounds
    unseen: bool = False

    def __post_init__(self):
        shapes = [np.shape(x) for x in (self.previous, self.real, self.predicted)]
        if len(set(shapes)) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
            raise ValueError(
                "`previous`, `real` and `predicted` must be frames of one shape "
                f"(height, width, 3). Received: shapes={shapes}."
            )


@dataclass(frozen=True)
class FilterRow:
    """Motion filters over time.

    Args:
        label: What they belong to, e.g. `"walk, mean of 20 clips"`.
        filters: Array `(frames, kernel, kernel)`; the last one is the forecast.

    Raises:
        ValueError: If the filters are not square and of odd size.
    """

    label: str
    filters: np.ndarray

    def __post_init__(self):
        shape = np.shape(self.filters)
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 2 == 0:
            raise ValueError(
                "`filters` must have shape (frames, kernel, kernel) with an odd "
                f"kernel. Received: shape={shape}."
            )


@dataclass(frozen=True)
class FilterComparison:
    """Rows of filters to hold against each other, drawn on one colour scale.

    Args:
        title: What is compared, e.g. `"walk against walk_backward"`.
        rows: The rows, top to bottom.
        caption: What to look at.
    """

    title: str
    rows: Sequence[FilterRow]
    caption: str = ""


@dataclass(frozen=True)
class Loop:
    """A short clip that plays for ever.

    Args:
        label: What it shows.
        frames: uint8 RGB of shape `(frames, height, width, 3)`.
        fps: Frames per second.

    Raises:
        ValueError: If `frames` is not uint8 RGB or `fps` is not positive.
    """

    label: str
    frames: np.ndarray
    fps: float

    def __post_init__(self):
        shape, dtype = np.shape(self.frames), np.asarray(self.frames).dtype
        if len(shape) != 4 or shape[0] < 1 or shape[3] != 3 or dtype != np.uint8:
            raise ValueError(
                "`frames` must be uint8 of shape (frames, height, width, 3). "
                f"Received: shape={shape}, dtype={dtype}."
            )
        if not self.fps > 0:
            raise ValueError(f"`fps` must be positive. Received: fps={self.fps}.")


@dataclass(frozen=True)
class Example:
    """One video with what the model said of it.

    Args:
        clip: The video.
        class_names: One name a class.
        probabilities: One a class, summing to 1.
        true_class: Index of the true class, or `None` where there is none.

    Raises:
        ValueError: If names and probabilities differ in number.
    """

    clip: Loop
    class_names: Sequence[str]
    probabilities: np.ndarray
    true_class: int | None = None

    def __post_init__(self):
        if np.shape(self.probabilities) != (len(self.class_names),):
            raise ValueError(
                "`probabilities` must hold one number a class. Received: "
                f"shape={np.shape(self.probabilities)}, "
                f"classes={len(self.class_names)}."
            )

    @property
    def predicted_class(self) -> int:
        """Index of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def is_wrong(self) -> bool:
        """Whether the true class is known and another one was named."""
        return self.true_class not in (None, self.predicted_class)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable classes as `(name, probability)`."""
        probabilities = np.asarray(self.probabilities)
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(self.class_names[i], float(probabilities[i])) for i in order]


@dataclass(frozen=True)
class CommandShown:
    """A command, run for the reader, with what it printed.

    Args:
        intro: What the command does and what to make of the answer.
        command: The line to type.
        output: What it printed.
        example: The video it was run on, with the answer as probabilities.
    """

    intro: str
    command: str
    output: str = ""
    example: Example | None = None


@dataclass(frozen=True)
class Provenance:
    """How the run was made.

    Args:
        command: The line to type to make it again.
        facts: Names and values, e.g. seed, clips, data fingerprint.
        stage_seconds: Wall-clock seconds of each stage, in order.
        peak_rss_gib: The most memory that was held at once, in GiB.
        versions: Package versions.
        configuration: The whole configuration as text.
    """

    command: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_gib: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""


@dataclass(frozen=True)
class Report:
    """Everything a page shows. Only the title is required.

    Args:
        title: The page's title.
        subtitle: One line under it, e.g. what was trained on what.
        notice: A warning to print above everything, e.g. that the run was shortened.
        classification: Recognition results.
        frame_prediction: Next-frame results.
        history: Values an epoch by name, as `keras.callbacks.History.history` has
            them; validation values carry the prefix `"val_"`.
        task_intro: What the classes are and why they are hard.
        task: One clip a class.
        strips: Predicted frames beside real ones.
        filters: Motion filters.
        examples: Predictions on single videos.
        command_shown: A command with its output.
        provenance: How the run was made.
        limits: What the results do not show, a sentence each.
    """

    title: str
    subtitle: str = ""
    notice: str = ""
    classification: Classification | None = None
    frame_prediction: FramePrediction | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    task_intro: str = ""
    task: Sequence[Loop] = ()
    strips: Sequence[FrameStrip] = ()
    filters: Sequence[FilterComparison] = ()
    examples: Sequence[Example] = ()
    command_shown: CommandShown | None = None
    provenance: Provenance | None = None
    limits: Sequence[str] = ()
