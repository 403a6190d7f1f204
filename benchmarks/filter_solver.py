"""What filters solved in closed form are worth, on the videos of a folder.

    python benchmarks/filter_solver.py runs/demo/videos

For each strength of the pull towards the identity: PSNR of the observed transitions
between copying and the best filter; PSNR of pictures from the videos that are shifted
by whole pixels; distance of each solver from NumPy's in float64; processor time of a
batch of 16 clips.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_dynamonet.data import (
    ClipSpec,
    evaluation_dataset,
    list_splits,
    load_manifest,
)
from keras_dynamonet.layers import (
    DynamicMotionFilter,
    FilterNormalization,
    FilterSolver,
)
from keras_dynamonet.layers.filter_solver import METHODS
from keras_dynamonet.metrics import psnr
from keras_dynamonet.training.frame_quality import FrameQualityMeter

RIDGES = (1e-4, 3e-4, 5e-4, 1e-3, 1e-2)
BATCH = 16


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", help="folder of videos")
    parser.add_argument("--clips", type=int, default=48, help="default: 48")
    parser.add_argument("--kernel-size", type=int, default=5, help="default: 5")
    arguments = parser.parse_args(argv)
    clips = _read(arguments.videos, arguments.clips)
    size = arguments.kernel_size
    shifted = _shifted(clips[:, 0], size // 2)
    print(
        "| ridge | solved on | copy dB | solved dB | best dB | whole shifts dB "
        + "".join(f"| {method} off by " for method in METHODS)
        + "| CPU ms |"
    )
    print("| ---: | --- |" + " ---: |" * (5 + len(METHODS)))
    cases = [(ridge, True) for ridge in RIDGES] + [(5e-4, False)]
    for ridge, luminance in cases:
        options = {"ridge": ridge, "luminance": luminance}
        bounds = _quality(clips, size, options)
        distances = [_distance(clips[:4], size, options, name) for name in METHODS]
        print(
            f"| {ridge:.0e} | {'their mean' if luminance else 'all colours'} "
            f"| {bounds.floor:.2f} | {bounds.model:.2f} | {bounds.ceiling:.2f} "
            f"| {_shift_quality(shifted, size, options):.1f} "
            + "".join(f"| {distance:.0e} " for distance in distances)
            + f"| {_milliseconds(clips[:BATCH], size, options):.0f} |",
            flush=True,
        )
    return 0


def _read(folder, count):
    """The first clips of the videos, spread over the classes."""
    spec = ClipSpec(num_frames=16, size=64, fps=12.0)
    split = "test" if "test" in list_splits(folder) else None
    manifest = load_manifest(folder, split=split)
    dataset = evaluation_dataset(manifest, spec, batch_size=BATCH)
    clips = np.concatenate([batch.numpy() for batch, *_ in dataset])
    return clips[:: max(1, len(clips) // count)][:count]


def _shifted(pictures, reach):
    """A pair of frames for every whole shift within reach, of as many pictures."""
    steps = range(-reach, reach + 1)
    pairs = []
    for number, (dy, dx) in enumerate(itertools.product(steps, steps)):
        picture = pictures[number % len(pictures)]
        inner = [slice(reach, -reach)] * 2
        moved = [
            slice(reach - step, size - reach - step)
            for step, size in zip((dy, dx), picture.shape, strict=False)
        ]
        pairs.append([picture[tuple(inner)], picture[tuple(moved)]])
    return np.array(pairs)


def _predict(clips, size, options):
    """Every frame but the first from the one before, by its solved filter."""
    frames = tf.constant(clips, tf.float32) / 255.0
    filters = FilterNormalization()(FilterSolver(size, **options)(frames))
    return DynamicMotionFilter()([frames[:, :-1], filters]).numpy()


def _quality(clips, size, options):
    meter = FrameQualityMeter(size)
    for start in range(0, len(clips), BATCH):
        batch = clips[start : start + BATCH]
        meter.update(batch, _predict(batch, size, options))
    return meter.result().observed


def _shift_quality(pairs, size, options):
    rim = size // 2
    inner = np.s_[:, :, rim:-rim, rim:-rim]
    return psnr(pairs[:, 1:][inner] / 255, _predict(pairs, size, options)[inner])


def _distance(clips, size, options, method):
    """Largest difference of a tap from NumPy's solution in float64."""
    frames = clips / 255.0
    if options["luminance"]:
        frames = frames.mean(axis=-1, keepdims=True)
    rim, stride, taps = size // 2, FilterSolver().sample_stride, size * size
    solver = FilterSolver(size, method=method, **options)
    solved = solver(tf.constant(clips, tf.float32) / 255.0).numpy()
    furthest = 0.0
    for clip, t in np.ndindex(solved.shape[:2]):
        windows = np.lib.stride_tricks.sliding_window_view(
            frames[clip, t], (size, size), axis=(0, 1)
        )[::stride, ::stride]
        change = (frames[clip, t + 1] - frames[clip, t])[rim:-rim, rim:-rim]
        rows = windows.reshape(-1, taps)
        target = change[::stride, ::stride].reshape(-1)
        matrix, vector = rows.T @ rows / len(rows), rows.T @ target / len(rows)
        power = np.trace(matrix) / taps + 1e-4
        matrix += options["ridge"] * power * np.eye(taps)
        exact = np.linalg.solve(matrix, vector).reshape(size, size)
        furthest = max(furthest, np.abs(solved[clip, t, ..., 0] - exact).max())
    return furthest


def _milliseconds(clips, size, options, repeats=20):
    solve = tf.function(FilterSolver(size, **options))
    frames = tf.constant(clips, tf.float32) / 255.0
    solve(frames)
    start = time.process_time()
    for _ in range(repeats):
        solve(frames)
    return 1000 * (time.process_time() - start) / repeats


if __name__ == "__main__":
    sys.exit(main())
