"""Accuracy of clips and of videos, counted from softmax outputs."""

from dataclasses import dataclass

import numpy as np

from keras_dynamonet.reports.intervals import wilson_interval


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers and how sure it is.

    Args:
        correct: Right answers.
        total: Answers, at least 1.
        independent: How many of them know nothing of each other, for the interval:
            clips of one video are right or wrong together. Default: all.

    Example:

    >>> accuracy = Accuracy(8, 10)
    >>> accuracy.value, [round(bound, 3) for bound in accuracy.interval]
    (0.8, [0.49, 0.943])
    """

    correct: int
    total: int
    independent: int | None = None

    @property
    def value(self) -> float:
        """Share of right answers, in [0, 1]."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval."""
        trials = self.independent or self.total
        return wilson_interval(self.value * trials, trials)

    def to_json(self) -> dict:
        """Value, interval and counts."""
        low, high = self.interval
        return {
            "value": self.value,
            "low": low,
            "high": high,
            "correct": self.correct,
            "total": self.total,
        }


def average_by_video(
    probabilities: np.ndarray, video_index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean softmax of the clips of each video.

    Args:
        probabilities: `(clips, classes)`.
        video_index: `(clips,)`, which video each clip is of, in any order.

    Returns:
        The videos, sorted, `(videos,)`, and their means, `(videos, classes)`, float64.

    Example:

    >>> videos, means = average_by_video(
    ...     np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), np.array([7, 3, 7])
    ... )
    >>> videos.tolist(), means.tolist()
    ([3, 7], [[0.0, 1.0], [0.75, 0.25]])
    """
    videos, place = np.unique(video_index, return_inverse=True)
    sums = np.zeros((len(videos), probabilities.shape[1]))
    np.add.at(sums, place, probabilities)
    return videos, sums / np.bincount(place)[:, None]


def top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int) -> Accuracy:
    """How often the true class is among the `k` most probable ones.

    Of equally probable classes, the one with the smaller index comes first.

    Args:
        probabilities: `(samples, classes)`.
        labels: `(samples,)`, integers.
        k: At least 1.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    correct = (best == np.asarray(labels)[:, None]).any(axis=1)
    return Accuracy(int(correct.sum()), len(labels))


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
    """Counts of `(true, predicted)` pairs, `(num_classes, num_classes)` int64.

    Example:

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = np.asarray(labels, np.int64) * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)
