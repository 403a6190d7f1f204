"""Which videos a report shows: typical ones and telling mistakes, never hand-picked."""

import numpy as np


def typical_index(scores: np.ndarray, candidates: np.ndarray) -> int:
    """The candidate with the median score (the lower of two middle ones).

    Args:
        scores: `(samples,)`.
        candidates: Indices into `scores`, at least one.

    Example:

    >>> typical_index(np.array([9.0, 1.0, 5.0, 3.0]), np.array([0, 1, 2]))
    2
    """
    order = np.argsort(scores[candidates], kind="stable")
    return int(candidates[order[(len(candidates) - 1) // 2]])


def typical_successes(probabilities: np.ndarray, labels: np.ndarray) -> list[int]:
    """For each class the rightly named video of median confidence, if there is one.

    Args:
        probabilities: `(videos, classes)`.
        labels: `(videos,)`.

    Returns:
        Indices of videos in the order of the classes.

    Example:

    >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]])
    >>> typical_successes(probabilities, np.array([0, 0, 1]))
    [1]
    """
    named = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    chosen = []
    for label in range(probabilities.shape[1]):
        right = np.flatnonzero((labels == label) & (named == label))
        if right.size:
            chosen.append(typical_index(confidence, right))
    return chosen


def surest_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, count: int
) -> list[int]:
    """The wrongly named videos that the model was surest of, one a kind of mistake.

    Args:
        probabilities: `(videos, classes)`.
        labels: `(videos,)`.
        count: How many at most.

    Returns:
        Indices of videos, surest first. A pair of true and named class comes once.

    Example:

    >>> probabilities = np.array([[0.2, 0.8], [0.1, 0.9], [0.6, 0.4]])
    >>> surest_mistakes(probabilities, np.array([0, 0, 1]), 4)
    [1, 2]
    """
    named = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(named != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    chosen, kinds = [], set()
    for index in surest:
        kind = (labels[index], named[index])
        if kind not in kinds:
            kinds.add(kind)
            chosen.append(int(index))
    return chosen[:count]
