"""A training step in Keras beside PyTorch: forward, backward, SGD with momentum.

    python -m benchmarks.training --presets nano-16f resnet18-16f resnext101-16f
    python -m benchmarks.training --presets nano-16f --size 32 --batch 2 --rounds 3

All start from the same weights with the same clips; the losses of two steps must agree.
"""

import argparse

from benchmarks.artefacts import prepare
from benchmarks.contestant import Contestant
from benchmarks.options import (
    add_folder_options,
    add_size,
    benchmark_parser,
    race_options,
    run,
)
from benchmarks.race import Result, race
from benchmarks.tables import Table, milliseconds, versus

_WORK = "benchmarks.training_work"
_KERAS, _DYNAMONET = "Keras", "Keras, whole DynamoNet"
_PYTORCH = ("PyTorch", "PyTorch channels last")
# Sums in another order; the second loss feels every rounding of the first step.
TOLERANCES = {"": 2e-3}


def contestants(folder: str, batch: int, threads: int) -> list[Contestant]:
    """Everyone who trains the network of a folder."""
    shared = {"folder": folder, "batch": batch}
    pytorch, last = f"{_WORK}:pytorch", {**shared, "memory": "channels_last"}
    return [
        Contestant(_PYTORCH[0], pytorch, shared, threads),
        Contestant(_PYTORCH[1], pytorch, last, threads),
        Contestant(_KERAS, f"{_WORK}:keras_classifier", shared, threads),
        Contestant(_DYNAMONET, f"{_WORK}:keras_dynamonet", shared, threads),
    ]


def table(results: dict[str, Result], preset: str, batch: int) -> Table:
    """Times of all, and of ours beside their peers."""
    rows = Table(
        f"Training step, {preset}, batch {batch}",
        ("work", "median ms", "rounds, ms", "clips/s", "peak MiB", "beside", "ratio"),
    )
    found = [results[name] for name in _PYTORCH if name in results]
    fastest = min(found, key=lambda result: result.seconds, default=None)
    beside = {_KERAS: (fastest, 1.1), _DYNAMONET: (results.get(_KERAS), 1.15)}
    for name, result in results.items():
        peer, target = beside.get(name, (None, None))
        rows.add(
            f"{name} ({result.runtime})",
            milliseconds(result.seconds),
            milliseconds(*result.rounds),
            f"{result.units_per_second:.3g}",
            f"{result.peak_memory_mib:.0f}",
            peer.name if peer else "",
            versus(result, peer, target) if peer else "",
        )
    return rows


def measure(arguments: argparse.Namespace) -> list[Table]:
    """One table for each preset."""
    tables = []
    for preset in arguments.presets:
        folder = prepare(
            arguments.folder,
            preset,
            size=arguments.size,
            forms=(),
            reuse=arguments.reuse,
        )
        entered = [
            contestant
            for contestant in contestants(
                str(folder), arguments.batch, arguments.threads
            )
            if not arguments.only or contestant.name in arguments.only
        ]
        results = race(entered, tolerances=TOLERANCES, **race_options(arguments))
        tables.append(table(results, preset, arguments.batch))
        print(tables[-1].to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    presets = ["nano-16f", "resnet18-16f", "resnext101-16f"]
    parser.add_argument("--presets", nargs="+", default=presets)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--only", nargs="+", help="names of contestants")
    add_size(parser)
    add_folder_options(parser)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
