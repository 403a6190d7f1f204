"""From logits to probabilities and names."""

from collections.abc import Sequence

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits `(..., classes)`, float64.

    Example:

    >>> softmax(np.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def top_classes(
    probabilities: np.ndarray, class_names: Sequence[str], count: int = 5
) -> list[tuple[str, float]]:
    """The most probable classes with their probabilities, most probable first.

    Example:

    >>> top_classes(np.array([0.2, 0.7, 0.1]), ["run", "walk", "jump"], count=2)
    [('walk', 0.7), ('run', 0.2)]
    """
    best = np.argsort(-probabilities, kind="stable")[:count]
    return [(class_names[i], float(probabilities[i])) for i in best]
