"""The dynamic motion filter, forward and backward, beside PyTorch.

python -m benchmarks.filters
python -m benchmarks.filters --batch 2 --size 32 --rounds 3 --seconds 0.2
"""

import argparse

from benchmarks.contestant import Contestant
from benchmarks.options import add_size, benchmark_parser, race_options, run
from benchmarks.race import Result, race
from benchmarks.tables import Table, milliseconds, versus

_WORK = "benchmarks.filters_work"
FORMS = ("auto", "patches", "vectorized_map")
STACKS = ("colours", "all")
# Sums over all pixels of a frame, in another order.
TOLERANCES = {"": 1e-3}


def contestants(arguments: argparse.Namespace, to_frames: bool) -> list[Contestant]:
    """Every form of ours, every way to write it in PyTorch."""
    shared = {
        "batch": arguments.batch,
        "frames": arguments.frames,
        "size": arguments.size,
        "kernel": arguments.kernel,
        "channels": arguments.channels,
        "to_frames": to_frames,
    }
    stacks = STACKS if arguments.channels == 1 else ("all",)
    return [
        *(
            Contestant(
                f"PyTorch, {stack}",
                f"{_WORK}:pytorch",
                {**shared, "stack": stack},
                arguments.threads,
            )
            for stack in stacks
        ),
        *(
            Contestant(
                f"DynamicMotionFilter, {form}",
                f"{_WORK}:keras",
                {**shared, "form": form},
                arguments.threads,
            )
            for form in FORMS
        ),
    ]


def table(results: dict[str, Result], title: str) -> Table:
    """Times of all beside the faster one of PyTorch's."""
    rows = Table(title, ("work", "median ms", "rounds, ms", "peak MiB", "ratio"))
    peer = min(
        (result for name, result in results.items() if name.startswith("PyTorch")),
        key=lambda result: result.seconds,
    )
    for name, result in results.items():
        target = 1.0 if name.endswith("auto") else None
        ours = not name.startswith("PyTorch")
        rows.add(
            f"{name} ({result.runtime})",
            milliseconds(result.seconds),
            milliseconds(*result.rounds),
            f"{result.peak_memory_mib:.0f}",
            versus(result, peer, target) if ours else "",
        )
    return rows


def measure(arguments: argparse.Namespace) -> list[Table]:
    """A table for gradients of the filters alone, and one for both gradients."""
    tables = []
    for to_frames in (False, True):
        results = race(
            contestants(arguments, to_frames),
            tolerances=TOLERANCES,
            **race_options(arguments),
        )
        size = arguments.size
        title = (
            f"Motion filter, batch {arguments.batch}, {arguments.frames}x{size}x{size}"
            f", k = {arguments.kernel}, gradients to the filters"
            f"{' and the frames' if to_frames else ''}"
        )
        tables.append(table(results, title))
        print(tables[-1].to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--kernel", type=int, default=5)
    parser.add_argument("--channels", type=int, default=1, choices=(1, 3))
    add_size(parser, 112)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
