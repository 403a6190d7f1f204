"""Numbers that a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
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
        trained_on: How many of the videos the model was trained on; `None` where that
            is not known. Only videos known to be held out are called so.

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
    trained_on: int | None = None

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
        clips: Number of clips that were measured, where that is known.
        note: What else to know, e.g. how the filters are made.
    """

    observed: Bounds | None = None
    unseen: Bounds | None = None
    clips: int | None = None
    note: str = ""
