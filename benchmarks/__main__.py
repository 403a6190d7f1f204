"""All benchmarks, one after the other, and their tables into BUILD_NOTES.

    python -m benchmarks all --write
    python -m benchmarks inference training --write
    python -m benchmarks all --quick

`--quick` runs everything on small networks, to see that it works; its figures say
nothing. For other settings run a benchmark by itself: `python -m benchmarks.training
--help`. The peers are no dependencies: `make benchmarks` installs them into an
environment of its own and runs everything there.
"""

import argparse
import importlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import write_section
from keras_dynamonet.machine import count_cpus, processor_name

NOTES = Path(__file__).parents[1] / "BUILD_NOTES.md"
PACKAGES = (
    *("keras", "tensorflow", "numpy", "av", "onnxruntime", "ai-edge-litert"),
    *("openvino", "torch", "jax", "decord2", "opencv-python-headless"),
)

_SHORT = ["--rounds", "2", "--seconds", "0.1"]
_SMALL = ["--size", "32", *_SHORT]
# Name: options of the quick run.
BENCHMARKS = {
    "inference": ["--preset", "nano-16f", "--batch", "2", *_SMALL],
    "training": ["--presets", "nano-16f", "--batch", "2", *_SMALL],
    "filters": ["--batch", "2", *_SMALL],
    "convolutions": ["--batch", "2", *_SMALL],
    "decoding": ["--kinds", "h264-320x240", "--videos", "2", *_SHORT],
    "packed_shards": ["--videos", "2", "--clips", "4", "--rounds", "1"],
    "manifest_size": ["--rows", "10", "20"],
    "memory": [
        *("--preset", "nano-16f", "--frames", "16", "32", "--sizes", "32", "64"),
        *("--batch", "1", "2", *_SHORT),
    ],
}


def machine() -> str:
    """Processor, versions and the commit that runs, in a line of text."""
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"{processor_name()}, {count_cpus()} CPUs, {platform.system()}, Python "
        f"{platform.python_version()}; {', '.join(versions)}; {commit()}."
    )


def commit() -> str:
    """The commit of this code, `-dirty` if it was changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(
            command, cwd=NOTES.parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown commit"
    return f"commit {done.stdout.strip()}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmarks that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=["all", *BENCHMARKS])
    parser.add_argument("--quick", action="store_true", help="small networks")
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {NOTES.name}"
    )
    arguments = parser.parse_args(argv)
    if arguments.quick and arguments.write:
        parser.error("the figures of --quick are not for --write")
    names = list(BENCHMARKS) if "all" in arguments.names else arguments.names
    where = machine()  # before the tables change a file of the commit
    for name in names:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        options = BENCHMARKS[name] if arguments.quick else []
        tables = benchmark.measure(benchmark.make_parser().parse_args(options))
        if arguments.write:
            parts = [f"`python -m benchmarks {name}` on {where}"]
            parts += [table.to_markdown() for table in tables]
            write_section(NOTES, name, "\n\n".join(part.strip() for part in parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
