"""Clips from video files, beside other decoders.

    python -m benchmarks.decoding
    python -m benchmarks.decoding --kinds h264-320x240 --workers 1 --rounds 3

Everyone reads the same 16 frames from random places of the same files, scaled to 112
pixels. The frames must be the same, too.
"""

import argparse

from benchmarks.contestant import Contestant
from benchmarks.options import add_folder_options, benchmark_parser, race_options, run
from benchmarks.race import Result, race
from benchmarks.tables import Table, milliseconds, versus
from benchmarks.videos import KINDS, write_videos

_WORK = "benchmarks.decoding_work"
OURS = "keras-dynamonet"
# Name: function and further settings.
CONTESTANTS = {
    OURS: ("ours", {}),
    "decord2": ("decord", {}),
    "OpenCV": ("opencv", {}),
    "TorchCodec": ("torchcodec", {}),
    "PyAV, plain": ("pyav", {}),
    # What PyAV takes where it scales as we do.
    "PyAV, bicubic": ("pyav", {"interpolation": "BICUBIC"}),
}
# Scalers differ: bicubic, bilinear, area. Another frame would differ by up to 0.8.
TOLERANCES = {"": 0.12}


def table(results: dict[str, Result], kind: str, workers: int) -> Table:
    """Clips a second of all, and ours beside the fastest of the others."""
    rows = Table(
        f"Decoding, {kind}, {workers} worker{'s' if workers > 1 else ''}",
        ("decoder", "clips/s", "ms a clip, rounds", "peak MiB", "time beside ours"),
    )
    ours = results[OURS]
    for name, result in sorted(results.items(), key=lambda item: item[1].seconds):
        clip = [seconds / result.units for seconds in result.rounds]
        rows.add(
            f"{name} ({result.runtime})",
            f"{result.units_per_second:.3g}",
            milliseconds(*clip),
            f"{result.peak_memory_mib:.0f}",
            "" if result is ours else versus(result, ours),
        )
    return rows


def measure(arguments: argparse.Namespace) -> list[Table]:
    """One table for each kind of video and number of workers."""
    tables = []
    folder = arguments.folder / "videos"
    for kind in arguments.kinds:
        write_videos(folder, kind, arguments.videos)
        for workers in arguments.workers:
            settings = {"folder": str(folder), "kind": kind, "workers": workers}
            entered = [
                Contestant(name, f"{_WORK}:{function}", {**settings, **own}, workers)
                for name, (function, own) in CONTESTANTS.items()
                if not arguments.only or name in (OURS, *arguments.only)
            ]
            results = race(entered, tolerances=TOLERANCES, **race_options(arguments))
            tables.append(table(results, kind, workers))
            print(tables[-1].to_markdown(), flush=True)
    return tables


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--videos", type=int, default=8, help="of each kind")
    peers = [name for name in CONTESTANTS if name != OURS]
    parser.add_argument("--only", nargs="+", choices=peers, help="peers")
    add_folder_options(parser)
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
