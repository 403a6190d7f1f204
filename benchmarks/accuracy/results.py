"""The results file: one line a number, whole runs at a time."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.experiments import Experiment

COLUMNS = ("experiment", "seed", "config", "metric", "value")


@dataclass
class Results:
    """All finished runs in a CSV file.

    Args:
        path: The file; made when the first run is added.
    """

    path: Path

    def __post_init__(self):
        self._values: dict[tuple[str, int], dict[str, float]] = {}
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    run = self._values.setdefault((row["config"], int(row["seed"])), {})
                    run[row["metric"]] = float(row["value"])

    def has(self, experiment: Experiment, seed: int) -> bool:
        """Whether a run is there, under this or another name."""
        return (experiment.key, seed) in self._values

    def add(
        self, experiment: Experiment, seed: int, numbers: Mapping[str, float]
    ) -> None:
        """Appends a finished run in one write."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not self.path.exists():
            rows.writerow(COLUMNS)
        for metric, value in numbers.items():
            name = experiment.name
            rows.writerow([name, seed, experiment.key, metric, f"{value:.6g}"])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        self._values[experiment.key, seed] = dict(numbers)

    def of(self, experiment: Experiment, metric: str) -> dict[int, float]:
        """One number of an experiment by seed."""
        return {
            seed: numbers[metric]
            for (key, seed), numbers in sorted(self._values.items())
            if key == experiment.key and metric in numbers
        }

    def metrics(self, experiment: Experiment) -> list[str]:
        """Names of the numbers that any seed of an experiment has."""
        runs = (
            numbers
            for (key, _), numbers in self._values.items()
            if key == experiment.key
        )
        return list(dict.fromkeys(metric for numbers in runs for metric in numbers))
