"""Options that the benchmarks share."""

import argparse
from pathlib import Path

from keras_dynamonet.machine import count_cpus


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds size of the frames, threads and length of the race."""
    parser.add_argument("--size", type=int, help="pixels (default: the network's)")
    parser.add_argument(
        "--threads",
        type=int,
        default=count_cpus(),
        help="CPUs of every contestant (default: all)",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each contestant"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of files that are made for the benchmark."""
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs/benchmarks").resolve(),
        help="where networks and videos are kept (default: runs/benchmarks)",
    )
    parser.add_argument(
        "--reuse", action="store_true", help="use what is in the folder already"
    )


def race_options(arguments: argparse.Namespace) -> dict:
    """Keyword arguments of :func:`benchmarks.race.race`."""
    return {"rounds": arguments.rounds, "seconds": arguments.seconds}
