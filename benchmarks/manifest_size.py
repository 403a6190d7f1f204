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
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS = (100, 1_000, 10_000, 100_000, 1_000_000)
_VIDEOS = 16
_BATCH = 8
_STEPS = 40
_ROWS_A_FOLDER = 1000


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return 0
    print(
        "| rows | index | to the manifest, s | to the first batch, s | fingerprint, s "
        "| memory, MB | a step, ms |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    warm = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_videos(root)
        for rows in arguments.rows:
            data = make_list(root, rows)
            for index in ("cold", "warm"):
                warm[rows] = result = run(data, root)
                print(
                    f"| {rows:,} | {index} | {result['manifest_s']:.2f} | "
                    f"{result['first_batch_s']:.2f} | {result['fingerprint_s']:.2f} | "
                    f"{result['memory_mb']:.0f} | {result['step_ms']:.1f} |",
                    flush=True,
                )
    if len(warm) > 1:
        print("\nexponents over the rows, warm:", end="")
        for name in ("first_batch_s", "memory_mb", "step_ms"):
            values = [max(result[name], 1e-3) for result in warm.values()]
            exponent = np.polyfit(np.log(list(warm)), np.log(values), 1)[0]
            print(f"  {name} {exponent:.2f}", end="")
        print()
    return 0


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


def run(data: Path, root: Path) -> dict:
    """Measures in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.manifest_size", "--measure", str(data)]
    environment = os.environ | {
        "KERAS_DYNAMONET_CACHE": str(root / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(data: str) -> dict:
    import tensorflow as tf

    from keras_dynamonet.data import ClipSpec, load_manifest, training_dataset

    spec = ClipSpec(num_frames=2, size=16)
    tf.constant(0)
    baseline = peak_megabytes()
    began = time.perf_counter()
    manifest = load_manifest(data)
    loaded = time.perf_counter()
    batches = iter(
        training_dataset(manifest, spec, batch_size=_BATCH, seed=0, workers=1)
    )
    next(batches)
    first = time.perf_counter()
    steps = []
    for _ in range(_STEPS):
        start = time.perf_counter()
        next(batches)
        steps.append(time.perf_counter() - start)
    memory = peak_megabytes() - baseline
    start = time.perf_counter()
    manifest.fingerprint()
    return {
        "manifest_s": loaded - began,
        "first_batch_s": first - began,
        "fingerprint_s": time.perf_counter() - start,
        "memory_mb": memory,
        "step_ms": 1000 * statistics.median(steps),
    }


def peak_megabytes() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
