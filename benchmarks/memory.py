"""Time and peak memory against the work: frames, size and batch.

    python -m benchmarks.memory
    python -m benchmarks.memory --preset nano-16f --frames 16 32 --sizes 32 64

Every case has a process of its own. The exponent is the slope of a line through the
logarithms: 1 where the cost grows as the work does, 2 for the side of a square frame.
Memory counts above what the process held before its first step.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.contestant import Contestant
from benchmarks.options import benchmark_parser, race_options, run
from benchmarks.race import Result, race
from benchmarks.tables import Table, milliseconds

_WORK = "benchmarks.memory_work"
TASKS = ("inference", "training")


def contestants(arguments: argparse.Namespace, task: str) -> list[Contestant]:
    """One for each case: each of the three varies alone."""
    first = arguments.frames[0], arguments.sizes[0], arguments.batch[0]
    cases = [first]
    cases += [(frames, *first[1:]) for frames in arguments.frames[1:]]
    cases += [(first[0], size, first[2]) for size in arguments.sizes[1:]]
    cases += [(*first[:2], batch) for batch in arguments.batch[1:]]
    return [
        Contestant(
            f"{frames}x{size}x{size}, batch {batch}",
            f"{_WORK}:{task}",
            {
                "preset": arguments.preset,
                "frames": frames,
                "size": size,
                "batch": batch,
            },
            arguments.threads,
        )
        for frames, size, batch in cases
    ]


def table(
    results: dict[Contestant, tuple[Result, float]], preset: str, task: str
) -> Table:
    """All cases, then the exponents."""
    rows = Table(
        f"Cost against work, {preset}, {task}",
        ("case", "median ms", "peak MiB", "MiB for the work"),
    )
    points = []
    for contestant, (result, held) in results.items():
        extra = max(result.peak_memory_mib - held, 1e-3)
        points.append((contestant.settings, result.seconds, extra))
        rows.add(
            contestant.name,
            milliseconds(result.seconds),
            f"{result.peak_memory_mib:.0f}",
            f"{extra:.0f}",
        )
    for name in ("frames", "size", "batch"):
        others = {key for key in ("frames", "size", "batch") if key != name}
        chosen = [
            point
            for point in points
            if all(point[0][key] == points[0][0][key] for key in others)
        ]
        if len(chosen) < 2:
            continue
        work = [point[0][name] for point in chosen]
        time, memory = (
            exponent(work, [point[column] for point in chosen]) for column in (1, 2)
        )
        rows.add(
            f"exponent over {name}", f"{time:.2f} (time)", "", f"{memory:.2f} (memory)"
        )
    return rows


def exponent(work: Sequence[float], cost: Sequence[float]) -> float:
    """Slope of the line through the logarithms: `cost ~ work ** exponent`.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(work), np.log(cost), 1)[0])


def measure(arguments: argparse.Namespace) -> list[Table]:
    """A table for each task."""
    tables = []
    for task in arguments.tasks:
        results = {}
        for contestant in contestants(arguments, task):
            # Alone: the largest cases fill the memory.
            (result,) = race([contestant], **race_options(arguments)).values()
            results[contestant] = result, contestant.held_mib
        tables.append(table(results, arguments.preset, task))
        print(tables[-1].to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--preset", default="resnext101-16f")
    parser.add_argument("--frames", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--sizes", type=int, nargs="+", default=[112, 224])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
