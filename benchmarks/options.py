"""Options that the benchmarks share."""

import argparse
from collections.abc import Callable
from pathlib import Path

from keras_dynamonet.machine import count_cpus


def benchmark_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the threads and the length of the race."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=count_cpus(),
        help="CPUs of every contestant (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="turns of each contestant (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="length of a turn (default: %(default)s)",
    )
    return parser


def add_size(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """Adds the size of the frames; None for that of the network."""
    shown = "the preset's" if default is None else default
    parser.add_argument(
        "--size", type=int, default=default, help=f"pixels (default: {shown})"
    )


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


def run(
    parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], object]
) -> None:
    """The program of a benchmark: measures what the command line says and prints."""
    measure(parser.parse_args())
