"""Bulk inference with Ray: one worker, two workers, and one of two killed half-way.

    python -m benchmarks.bulk_inference runs/demo/training runs/demo/videos
    python -m benchmarks.bulk_inference RUN VIDEOS --videos 500 --out runs/bulk

The videos are listed again and again up to the number asked for, each under a name of
its own (hard links). `dynamonet embed` is run as a user runs it: its start, and that of
Ray, are part of the time. The rate without them comes from the difference between all
videos and a tenth of them.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PART_SIZE = 64
ACTOR = "RayPartWriter"


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, kills, counts and prints."""
    arguments = _parse(argv)
    out = arguments.out
    shutil.rmtree(out, ignore_errors=True)
    few = _link_videos(arguments.data, out / "few", arguments.videos // 10)
    many = _link_videos(arguments.data, out / "many", arguments.videos)
    print("| workers, a thread each | videos | seconds | videos/s without the start |")
    print("| ---: | ---: | ---: | ---: |")
    rates = []
    for workers in arguments.workers:
        times = {}
        for videos in (few, many):
            target = out / f"{videos.name}-{workers}"
            times[videos], rows = _embed(arguments.run, videos, target, workers)
            _check(rows, videos)
        extra = _count(many) - _count(few)
        rates.append(extra / (times[many] - times[few]))
        print(
            f"| {workers} | {_count(many)} | {times[many]:.0f} | {rates[-1]:.1f} |",
            flush=True,
        )
    print(f"\nrate, times that of the first row: {rates[-1] / rates[0]:.2f}")
    target = out / "killed"
    seconds, rows = _embed(
        arguments.run, many, target, arguments.workers[-1], kill=True
    )
    _check(rows, many)
    print(f"a worker killed with -9 half-way: {len(rows)} rows, each video once")
    print(f"took {seconds:.0f} s")
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a run, or .keras file")
    parser.add_argument("data", type=Path, help="folder of videos")
    parser.add_argument("--videos", type=int, default=5000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/bulk"))
    return parser.parse_args(argv)


def _link_videos(data, folder, count):
    """A folder of `count` videos, the same ones under several names."""
    sources = sorted(path for path in data.rglob("*.mp4"))
    if not sources:
        sys.exit(f"{data}: no .mp4 files")
    folder.mkdir(parents=True)
    for number in range(count):
        os.link(sources[number % len(sources)], folder / f"{number:06}.mp4")
    return folder


def _count(folder):
    return sum(1 for _ in folder.iterdir())


def _embed(run, videos, target, workers, kill=False):
    """Seconds that the command took, and the rows of its output."""
    import pyarrow.parquet

    command = [sys.executable, "-m", "keras_dynamonet.cli.main", "embed", run, videos]
    command += ["--out", target, "--engine", "ray", "--workers", workers]
    command += ["--threads", 1, "--part-size", PART_SIZE, "--json"]
    started = time.monotonic()
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if kill:
        parts = _count(videos) // PART_SIZE
        while len(list(target.glob("*.parquet"))) < parts // 2:
            if process.poll() is not None:
                sys.exit("the command ended before it was half done")
            time.sleep(0.1)
        print(f"killed process {_kill_a_worker()}", flush=True)
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(errors.decode())
    seconds = time.monotonic() - started
    return seconds, pyarrow.parquet.read_table(target).to_pylist()


def _kill_a_worker():
    """Ends one of the actors; they name themselves in their command lines."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if ACTOR in (folder / "cmdline").read_text():
                os.kill(int(folder.name), signal.SIGKILL)
                return int(folder.name)
    sys.exit("no worker was found")


def _check(rows, videos):
    """Every video once, and all of them read."""
    found = [Path(row["path"]).name for row in rows]
    wanted = sorted(path.name for path in videos.iterdir())
    failed = [row for row in rows if row["status"] != "ok"]
    if sorted(found) != wanted or failed:
        sys.exit(
            json.dumps({"rows": len(rows), "videos": len(wanted), "bad": failed[:3]})
        )


if __name__ == "__main__":
    sys.exit(main())
