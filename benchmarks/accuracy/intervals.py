"""Means with 95 % intervals over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

try:
    from scipy import stats
except ImportError as error:
    raise SystemExit("Intervals need scipy: pip install scipy") from error


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Args:
        value: The mean.
        radius: Half of the 95 % interval by Student's t; `None` for a single seed.
        seeds: How many there are.
    """

    value: float
    radius: float | None
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.radius is not None and abs(self.value) > self.radius

    def text(self, scale: float = 1.0, digits: int = 1, sign: bool = False) -> str:
        """The mean and its interval, e.g. `83.6 ± 1.2`."""
        mark = "+" if sign else ""
        text = f"{scale * self.value:{mark}.{digits}f}"
        if self.radius is None:
            return f"{text} (one seed)"
        return f"{text} ± {scale * self.radius:.{digits}f}"


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and 95 % interval of independent values.

    Example:

    >>> mean_of([1.0, 2.0, 3.0]).text()
    '2.0 ± 2.5'
    """
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Mean(mean, None, count)
    error = float(np.std(values, ddof=1)) / count**0.5
    return Mean(mean, float(stats.t.ppf(0.975, count - 1)) * error, count)


def paired_difference(
    values: Mapping[int, float], reference: Mapping[int, float]
) -> Mean | None:
    """Mean difference over the seeds that both have, or `None` without any.

    Example:

    >>> paired_difference({0: 3.0, 1: 4.0}, {0: 1.0, 1: 2.0, 2: 9.0}).text(sign=True)
    '+2.0 ± 0.0'
    """
    seeds = sorted(set(values) & set(reference))
    if not seeds:
        return None
    return mean_of([values[seed] - reference[seed] for seed in seeds])
