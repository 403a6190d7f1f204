"""Whether a second run of the experiments gives the numbers of the first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.catalogue import CATALOGUE
from benchmarks.accuracy.intervals import Mean, mean_of
from benchmarks.accuracy.results import Results

UNTRAINED = ("cpu_seconds", "parameters")
"""Numbers that say nothing of what was learnt."""

WITHOUT_NETWORK = ("_floor", "_ceiling", "_segments")
"""Endings of the numbers that the clips alone decide."""

_ROUNDING = 1e-5  # relative: the file keeps six digits


@dataclass(frozen=True)
class Repeat:
    """One number of an experiment, and what the second run says.

    Args:
        experiment: Its name.
        metric: Name of the number.
        first: Mean and interval over all seeds of the first run.
        change: By how much the mean over the seeds of both runs differs.
    """

    experiment: str
    metric: str
    first: Mean
    change: float

    @property
    def same(self) -> bool:
        """Whether nothing but rounding differs."""
        return abs(self.change) <= _ROUNDING * abs(self.first.value)

    @property
    def within(self) -> bool:
        """Whether the change stays within the interval of the first run."""
        return self.same or abs(self.change) <= (self.first.radius or 0.0)


def repeats(first: Results, second: Results) -> Iterator[Repeat]:
    """Every number of a trained network that both have for at least one seed."""
    for experiment in CATALOGUE.values():
        for metric in second.metrics(experiment):
            before = first.of(experiment, metric)
            after = second.of(experiment, metric)
            seeds = sorted(set(before) & set(after))
            learnt = metric not in UNTRAINED and not metric.endswith(WITHOUT_NETWORK)
            if seeds and learnt:
                changes = [after[seed] - before[seed] for seed in seeds]
                change = float(np.mean(changes))
                interval = mean_of(list(before.values()))
                yield Repeat(experiment.name, metric, interval, change)
