"""What the number of videos in a list costs: start-up, memory, time for a step.

    python -m benchmarks.manifest_size
    python -m benchmarks.manifest_size --rows 1000 1000000

Each size is measured in a process of its own, twice: the first reads and indexes the
list, the second finds the index. Rows are links to a few tiny videos, so that every row
is a file of its own. Start-up is from `load_manifest` to the first batch, imports left
out; memory is the peak of the process beyond what it had after the imports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.memory import exponent
from benchmarks.options import run
from benchmarks.tables import Table

ROWS = (100, 1_000, 10_000, 100_000, 1_000_000)
_VIDEOS = 16
_ROWS_A_FOLDER = 1000
# What grows with the rows, if anything.
_FITTED = {"first_batch_s": 1e-3, "memory_mib": 1.0, "step_ms": 1e-3}


def measure(arguments: argparse.Namespace) -> list[Table]:
    """One table."""
    table = Table(
        "Cost of a list",
        (
            *("rows", "index", "to the manifest, s", "to the first batch, s"),
            *("fingerprint, s", "memory, MiB", "a step, ms"),
        ),
    )
    warm = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_videos(root)
        for rows in arguments.rows:
            data = make_list(root, rows)
            for index in ("cold", "warm"):
                warm[rows] = found = _run(data, root)
                table.add(
                    *(f"{rows:,}", index, f"{found['manifest_s']:.2f}"),
                    *(f"{found['first_batch_s']:.2f}", f"{found['fingerprint_s']:.2f}"),
                    *(f"{found['memory_mib']:.0f}", f"{found['step_ms']:.1f}"),
                )
    if len(warm) > 1:
        table.add("exponent over the rows", "warm", "", *_exponents(warm))
    print(table.to_markdown(), flush=True)
    return [table]


def _exponents(results):
    fitted = {}
    for name, smallest in _FITTED.items():
        values = [max(result[name], smallest) for result in results.values()]
        fitted[name] = f"{exponent(list(results), values):.2f}"
    return fitted["first_batch_s"], "", fitted["memory_mib"], fitted["step_ms"]


def make_videos(root: Path) -> None:
    from tests.video_files import numbered_frames, write_video

    for k in range(_VIDEOS):
        write_video(root / f"video-{k}.mp4", numbered_frames(8, height=32, width=32))


def make_list(root: Path, rows: int) -> Path:
    """A list of `rows` links to the videos."""
    data = root / f"list-{rows}.csv"
    with data.open("w") as file:
        for row in range(rows):
            folder = root / f"{rows}" / f"part-{row // _ROWS_A_FOLDER:04d}"
            if row % _ROWS_A_FOLDER == 0:
                folder.mkdir(parents=True)
            path = folder / f"some-video-with-a-longer-name-{row:07d}.mp4"
            os.symlink(root / f"video-{row % _VIDEOS}.mp4", path)
            file.write(f"{path.relative_to(root)},class {row % 400}\n")
    return data


def _run(data, root):
    """Measures in a fresh process."""
    environment = os.environ | {
        "KERAS_DYNAMONET_CACHE": str(root / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.manifest_work", str(data)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def make_parser() -> argparse.ArgumentParser:
    """The options of this benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    return parser


if __name__ == "__main__":
    run(make_parser(), measure)
