"""Bulk inference with Ray: one worker, two workers, and one of two killed half-way.

    python -m benchmarks.bulk_inference runs/demo/training runs/demo/videos
    python -m benchmarks.bulk_inference RUN VIDEOS --videos 500 --out runs/bulk --hold

The videos are listed again and again up to the number asked for, each under a name of
its own (hard links). `dynamonet embed` is run as a user runs it: its start, and that of
Ray, are part of the time. The rate without them comes from the difference between all
videos and a tenth of them.

A worker of one thread reads videos in one and computes in another, so that alone on two
processors it takes more than one of them. `--hold` keeps every worker on a processor of
its own, as a cluster that shares processors out strictly does.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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
            times[videos], rows = _embed(arguments, videos, target, workers)
            _check(rows, videos)
        extra = _count(many) - _count(few)
        rates.append(extra / (times[many] - times[few]))
        print(
            f"| {workers} | {_count(many)} | {times[many]:.0f} | {rates[-1]:.1f} |",
            flush=True,
        )
    print(f"\nrate, times that of the first row: {rates[-1] / rates[0]:.2f}")
    target = out / "killed"
    seconds, rows = _embed(arguments, many, target, arguments.workers[-1], kill=True)
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
    parser.add_argument(
        "--hold", action="store_true", help="each worker on a processor of its own"
    )
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


def _embed(arguments, videos, target, workers, kill=False):
    """Seconds that the command took, and the rows of its output."""
    import pyarrow.parquet

    command = [sys.executable, "-m", "keras_dynamonet.cli.main", "embed"]
    command += [arguments.run, videos, "--out", target, "--engine", "ray"]
    command += ["--workers", workers, "--threads", 1, "--part-size", PART_SIZE]
    half, held = _count(videos) // PART_SIZE // 2, {}
    with tempfile.TemporaryFile("w+") as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            while process.poll() is None:
                found = _workers()
                if arguments.hold:
                    _hold(found, held)
                if kill and found and len(list(target.glob("*.parquet"))) >= half:
                    os.kill(found[0], signal.SIGKILL)
                    print("killed a worker", flush=True)
                    kill = False
                time.sleep(0.1)
        finally:
            process.terminate()  # does nothing to one that has ended
            process.wait()
        seconds = time.monotonic() - started
        errors.seek(0)
        if process.returncode:
            sys.exit(errors.read())
    if kill:
        sys.exit("the command ended before it was half done")
    return seconds, pyarrow.parquet.read_table(target).to_pylist()


def _workers():
    """The processes of the actors; they name themselves in their command lines."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if ACTOR in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


def _hold(workers, held):
    """Gives every new worker the first free processor.

    Args:
        workers: Processes.
        held: Processor by process, kept up to date.
    """
    for gone in held.keys() - set(workers):
        del held[gone]
    for worker in workers:
        if worker not in held:
            free = sorted(os.sched_getaffinity(0) - set(held.values()))
            if not free:
                sys.exit(f"--hold: there are more than {len(held)} workers here")
            held[worker] = free[0]
        with contextlib.suppress(OSError):  # it may be at its end
            for thread in Path(f"/proc/{worker}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {held[worker]})


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
