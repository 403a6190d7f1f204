"""How videos with and without labels take turns in the training stream."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


class LabelMix:
    """Which videos sample n is drawn from: a pure function of n, evenly spread.

    Where labels are rarer than they should be, the labelled videos and the others are
    two streams, `floor(n * share)` of the first n samples being labelled. Else all
    videos are one stream.

    Args:
        labels: Of every video, -1 for none.
        labelled_share: Least share of the samples that have a label, in [0, 1). 0, or
            videos of one kind alone, leave the share as it is.

    Raises:
        ValueError: If `labelled_share` is out of range.

    Example:

    >>> mix = LabelMix([0, -1, -1, -1], labelled_share=0.5)
    >>> [mix.turn(sample) for sample in range(4)]
    [(0, 0), (1, 0), (0, 1), (1, 1)]
    >>> [[int(video) for video in group] for group in mix.groups]
    [[1, 2, 3], [0]]
    """

    def __init__(self, labels: Sequence[int] | np.ndarray, labelled_share: float = 0.0):
        if not 0 <= labelled_share < 1:
            raise ValueError(
                "`labelled_share` must lie in [0, 1). "
                f"Received: labelled_share={labelled_share}."
            )
        labels = np.asarray(labels)
        labelled = labels >= 0
        known = np.count_nonzero(labelled)
        if 0 < known < labelled_share * len(labels):
            self.groups = np.flatnonzero(~labelled), np.flatnonzero(labelled)
            # Whole numbers count exactly however long the stream is.
            self._share = Fraction(labelled_share).limit_denominator(10**6)
        else:
            # Without a list: a billion videos are a range.
            self.groups = (range(len(labels)),)
            self._share = Fraction(0)

    def turn(self, sample):
        """Group and number in its stream of a sample, whole numbers or tensors."""
        before, after = (
            n * self._share.numerator // self._share.denominator
            for n in (sample, sample + 1)
        )
        group = after - before
        return group, group * before + (1 - group) * (sample - before)
