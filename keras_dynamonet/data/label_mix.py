"""How videos with and without labels take turns in the training stream."""

from collections.abc import Sequence

import numpy as np

_MILLION = 10**6


class LabelMix:
    """Which videos sample n is drawn from: a pure function of n, evenly spread.

    Where labels are rarer than they should be, the labelled videos and the others are
    two streams, `floor(n * share)` of the first n samples being labelled, the share in
    millionths. Else all videos are one stream.

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
            # Whole numbers count exactly however long the stream is; both kinds come.
            millionths = round(labelled_share * _MILLION)
            self._millionths = min(max(millionths, 1), _MILLION - 1)
        else:
            # Without a list: a billion videos are a range.
            self.groups = (range(len(labels)),)
            self._millionths = 0

    @property
    def mixed(self) -> bool:
        """Whether there are two groups."""
        return len(self.groups) > 1

    def turn(self, sample):
        """Group and number in its stream of a sample, whole numbers or tensors."""
        before, after = (n * self._millionths // _MILLION for n in (sample, sample + 1))
        group = after - before
        return group, group * before + (1 - group) * (sample - before)
