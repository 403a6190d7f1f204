"""Training batches a second with 1, 2, 4, 8 and autotuned batches ahead.

    python -m benchmarks.prefetch
    python -m benchmarks.prefetch --data VIDEOS --batch 16 --threads 8

The pipeline of training feeds a consumer that takes a fixed time for a batch, and no
processor, as a step on a GPU does. What lies ahead matters most where reading and
consuming take as long: so the time of the consumer is given as a share of the time that
the pipeline takes for a batch by itself. Numbers ahead take turns (A B A B), all on the
same clips; each number is the median of the rounds, and the ratio that to the default
in the same round.

Without `--data`, videos of two sizes are made, which take unequally long to decode.
"""

import statistics
import sys
import time
from unittest import mock

import cv2
import tensorflow as tf

from benchmarks import options
from benchmarks.videos import write_videos
from keras_dynamonet.data import ClipSpec, load_manifest, pipeline

AHEAD = {"1": 1, "2": 2, "4": 4, "8": 8, "autotuned": tf.data.AUTOTUNE}
DEFAULT = str(pipeline.BATCHES_AHEAD)
SPEC = ClipSpec(num_frames=16, size=112, fps=12.5)
KINDS = ("h264-320x240", "h264-640x480")
# Enough to fill what lies ahead, and for TensorFlow to tune itself.
WARM_UP = 12


def main(argv=None) -> int:
    parser = options.benchmark_parser(__doc__)
    options.add_folder_options(parser)
    parser.set_defaults(seconds=10.0)  # many batches, not a step or two
    parser.add_argument("--data", help="videos (default: made here)")
    parser.add_argument("--batch", type=int, default=8, help="clips in a batch")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.8, 1.0, 1.25])
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    data = arguments.data or arguments.folder / "prefetch"
    if not arguments.data:
        for kind in KINDS:
            write_videos(data, kind, 6)
    manifest = load_manifest(data, labelled=False)

    def turn(ahead: int, step_seconds: float, round_number: int) -> float:
        """Batches a second of one consumer."""
        with mock.patch.object(pipeline, "BATCHES_AHEAD", ahead):
            batches = pipeline.training_dataset(
                manifest,
                SPEC,
                batch_size=arguments.batch,
                seed=0,
                start_step=1000 * round_number,
                workers=arguments.threads,
            )
        return consume(iter(batches), step_seconds, arguments.seconds)

    alone = 1 / turn(pipeline.BATCHES_AHEAD, 0.0, 0)
    megabytes = arguments.batch * SPEC.frames_per_clip * SPEC.size**2 * 3 / 1e6
    print(
        f"{len(manifest)} videos, {arguments.threads} threads, batches of "
        f"{arguments.batch}, {megabytes:.1f} MB each; read in {1e3 * alone:.0f} ms\n"
    )
    for share in arguments.shares:
        rates = {name: [] for name in AHEAD}
        for round_number in range(arguments.rounds):
            for name, ahead in AHEAD.items():
                rates[name].append(turn(ahead, share * alone, round_number))
        print_table(f"consumer takes {share:g} of that", rates)
    return 0


def consume(batches, step_seconds: float, seconds: float) -> float:
    """Batches a second, over whole batches in at least `seconds`."""
    for _ in range(WARM_UP):
        next(batches)
        time.sleep(step_seconds)
    began, count = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        next(batches)
        time.sleep(step_seconds)
        count += 1
    return count / (time.perf_counter() - began)


def print_table(title: str, rates: dict[str, list[float]]) -> None:
    print(f"| ahead, {title} | batches/s | range | ratio |\n| --- | --- | --- | --- |")
    for name, values in rates.items():
        ratio = statistics.median(
            own / default for own, default in zip(values, rates[DEFAULT], strict=True)
        )
        print(
            f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to "
            f"{max(values):.2f} | {ratio:.2f} |"
        )
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
