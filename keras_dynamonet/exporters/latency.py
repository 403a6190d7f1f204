"""Times of many runs of a batch, in the words of `trtexec`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (90, 95, 99)


class _Report:
    """What both reports say: throughput, then a line of statistics for each row."""

    @property
    def throughput_qps(self) -> float:
        """Batches a second ("queries" in `trtexec`)."""
        return len(self._rows()[0][2]) / self.walltime_seconds

    @property
    def clips_per_second(self) -> float:
        """Clips a second."""
        return self.throughput_qps * self.batch

    def to_json(self) -> dict:
        """All figures, times in milliseconds unless their name says otherwise."""
        rows = self._rows()
        return {
            "batch": self.batch,
            "runs": len(rows[0][2]),
            "throughput_qps": self.throughput_qps,
            "clips_per_second": self.clips_per_second,
            **{key: _summary(values) for key, _, values in rows},
            **{
                f"total_{name.lower().replace(' ', '_')}_seconds": seconds
                for name, seconds in self._totals().items()
            },
        }

    def to_text(self) -> str:
        """The performance summary as `trtexec` prints it, with its warnings."""
        lines = ["=== Performance summary ==="]
        lines.append(f"Throughput: {self.throughput_qps:.6g} qps")
        for _, name, values in self._rows():
            figures = [
                f"{key} = {value:.6g} ms" for key, value in _summary(values).items()
            ]
            lines.append(f"{name}: {', '.join(figures)}")
        lines += [
            f"Total {name}: {seconds:.6g} s" for name, seconds in self._totals().items()
        ]
        lines += [f"* {text}" for text in self.warnings()]
        return "\n".join(lines)

    def warnings(self) -> list[str]:
        """What makes the figures doubtful."""
        return []

    def _totals(self):
        return {"Host Walltime": self.walltime_seconds}


@dataclass(frozen=True)
class LatencyReport(_Report):
    """Many runs of the same batch, by the clock of the host.

    Args:
        latencies_ms: Time of each run: from clips in memory to outputs in memory.
        batch: Clips in a batch.
        walltime_seconds: Of all runs together.

    Raises:
        ValueError: If there are no runs.

    Example:

    >>> report = LatencyReport((20.0, 30.0, 25.0, 25.0), 8, 0.1)
    >>> print(report.to_text().splitlines()[1])
    Throughput: 40 qps
    """

    latencies_ms: tuple[float, ...]
    batch: int
    walltime_seconds: float

    def __post_init__(self):
        _require_runs(self.latencies_ms)

    def _rows(self):
        return [("latency", "Latency", self.latencies_ms)]


@dataclass(frozen=True)
class Timing:
    """One run of a batch on a GPU; all times in milliseconds.

    Args:
        h2d_ms: Copying the input to the GPU.
        compute_ms: Computing, by the clock of the GPU.
        d2h_ms: Copying the outputs back.
        enqueue_ms: Handing the work to the GPU, by the clock of the host.
    """

    h2d_ms: float
    compute_ms: float
    d2h_ms: float
    enqueue_ms: float

    @property
    def latency_ms(self) -> float:
        """Copying in, computing and copying out."""
        return self.h2d_ms + self.compute_ms + self.d2h_ms


@dataclass(frozen=True)
class EngineReport(_Report):
    """Many runs of the same batch on a GPU.

    Args:
        timings: One entry for each run.
        batch: Clips in a batch.
        walltime_seconds: Of all runs together.

    Raises:
        ValueError: If there are no runs.

    Example:

    >>> report = EngineReport((Timing(0.1, 2.0, 0.1, 0.2),) * 4, 8, 0.01)
    >>> print(report.to_text().splitlines()[1])
    Throughput: 400 qps
    """

    timings: tuple[Timing, ...]
    batch: int
    walltime_seconds: float

    def __post_init__(self):
        _require_runs(self.timings)

    def warnings(self) -> list[str]:
        """What makes the figures doubtful, as `trtexec` says it."""
        mean = {key: float(np.mean(values)) for key, _, values in self._rows()}
        found = []
        if mean["enqueue"] > mean["gpu_compute"]:
            found.append(
                "Throughput may be bound by Enqueue Time rather than GPU Compute and "
                "the GPU may be under-utilized."
            )
        for key, name in (("h2d", "host-to-device"), ("d2h", "device-to-host")):
            if mean[key] > mean["gpu_compute"]:
                found.append(
                    f"Throughput may be bound by {name} transfers for the "
                    "inputs/outputs rather than GPU Compute and the GPU may be "
                    "under-utilized."
                )
        compute = [timing.compute_ms for timing in self.timings]
        variation = float(np.std(compute) / np.mean(compute)) if any(compute) else 0.0
        if variation > 0.01:
            found.append(
                "GPU compute time is unstable, with coefficient of variance = "
                f"{variation:.2%}."
            )
        return found

    def _rows(self):
        return [
            ("latency", "Latency", [t.latency_ms for t in self.timings]),
            ("enqueue", "Enqueue Time", [t.enqueue_ms for t in self.timings]),
            ("h2d", "H2D Latency", [t.h2d_ms for t in self.timings]),
            ("gpu_compute", "GPU Compute Time", [t.compute_ms for t in self.timings]),
            ("d2h", "D2H Latency", [t.d2h_ms for t in self.timings]),
        ]

    def _totals(self):
        compute_ms = sum(timing.compute_ms for timing in self.timings)
        return {**super()._totals(), "GPU Compute Time": compute_ms / 1e3}


def _require_runs(runs: Sequence) -> None:
    if not runs:
        raise ValueError("There must be at least one run to report on.")


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {
        "min": float(np.min(values)),
        "max": float(np.max(values)),
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        **{f"percentile({p}%)": float(np.percentile(values, p)) for p in PERCENTILES},
    }
