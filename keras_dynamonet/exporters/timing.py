"""How fast a network is on this machine, each case in a process of its own."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import keras_dynamonet
from keras_dynamonet.errors import UserError
from keras_dynamonet.exporters.latency import LatencyReport

_WORKER = "keras_dynamonet.exporters.timing_worker"


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing to time.

    Args:
        target: A file, folder or preset.
        runtime: Name of a runtime, see `keras_dynamonet.exporters.runtimes`.
        batch: Clips in a batch.
        threads: CPU threads, and CPUs to use.
        duration_seconds: Measure at least so long.
        iterations: Measure at least so many batches.
        warm_up_seconds: Run at least so long before.

    Raises:
        UserError: If a number is out of range.

    Example:

    >>> Case("nano-16f", "keras-predict", batch=8, threads=2).duration_seconds
    3.0
    """

    target: str
    runtime: str
    batch: int = 1
    threads: int = 1
    duration_seconds: float = 3.0
    iterations: int = 10
    warm_up_seconds: float = 0.2

    def __post_init__(self):
        for name, least in (("batch", 1), ("threads", 1), ("iterations", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"`{name}` must be at least {least}. "
                    f"Received: {getattr(self, name)}."
                )
        for name in ("duration_seconds", "warm_up_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(
                    f"`{name}` must be a number of at least 0. "
                    f"Received: {getattr(self, name)}."
                )


def measure(
    run: Callable[[np.ndarray], object],
    clips: np.ndarray,
    *,
    duration_seconds: float = 3.0,
    iterations: int = 10,
    warm_up_seconds: float = 0.2,
) -> LatencyReport:
    """Runs one batch again and again, one run after the other.

    Args:
        run: What to time; it returns when the outputs are there.
        clips: `(batch, ...)`, what it is given.
        duration_seconds: Measure at least so long.
        iterations: Measure at least so many runs.
        warm_up_seconds: Run at least so long, and twice, before.

    Returns:
        The time of every run.

    Example:

    >>> measure(np.sum, np.ones((4, 8)), duration_seconds=0, iterations=5).batch
    4
    """
    started, runs = time.perf_counter(), 0
    while runs < 2 or time.perf_counter() - started < warm_up_seconds:
        run(clips)
        runs += 1
    latencies_ms, started = [], time.perf_counter()
    now = started
    while len(latencies_ms) < iterations or now - started < duration_seconds:
        before = time.perf_counter()
        run(clips)
        now = time.perf_counter()
        latencies_ms.append(1e3 * (now - before))
    return LatencyReport(tuple(latencies_ms), len(clips), now - started)


def time_in_process(case: Case) -> dict:
    """Loads and times a case in a process that does nothing else.

    Returns:
        The figures of :class:`LatencyReport`, and `runtime`, `threads`, `load_seconds`,
        `peak_memory_mib` (of the whole process) and `text`, the report in words.

    Raises:
        UserError: If the network cannot be loaded or run; says why.
    """
    # The package may lie where only this process looks for it.
    places = [str(Path(keras_dynamonet.__file__).parents[1])]
    places += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    done = subprocess.run(
        [sys.executable, "-m", _WORKER, json.dumps(dataclasses.asdict(case))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise UserError(
            f"{case.target}: {case.runtime} ended with status {done.returncode} at "
            f"batch {case.batch}: {said[-1][:300]}"
        )
    document = json.loads(lines[-1])
    if "error" in document:
        raise UserError(document["error"])
    return document
