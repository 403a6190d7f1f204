"""Frame prediction with one filter a transition and with several segments.

Nothing is trained: filters are solved, and the forecast carries the last motion on,
which is where its network starts, or half of it. What is compared is therefore a
function of the clips, and the intervals are over clips, paired:

    python -m benchmarks.accuracy.segments
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.accuracy.batches import held_out_clips
from benchmarks.accuracy.clips import LabelledClips, load_clips
from benchmarks.accuracy.experiments import ClipSet, Experiment
from benchmarks.accuracy.footage import Footage, load_footage
from benchmarks.accuracy.intervals import mean_of
from benchmarks.accuracy.measures import STILL, segments_in_hindsight
from benchmarks.accuracy.training import NUM_FRAMES, make_network
from keras_dynamonet.metrics import least_squares_prediction, psnr

CLIPS = 96
KERNEL_SIZE = 5
SMALLEST = {"widths": (4, 4, 4, 4), "stem_width": 4}
"""The backbone takes no part in the prediction."""

ROWS = {
    "copy the last frame": None,
    "one filter": ({}, 1.0),
    "2 segments": ({"segments": 2}, 1.0),
    "3 segments": ({"segments": 3}, 1.0),
    "one filter, half of the last motion": ({}, 0.5),
    "2 segments, half of the last motion": ({"segments": 2}, 0.5),
}
"""Options of the network, and the share of the last motion, by the title of the row."""


def predictions(clips: np.ndarray, way: tuple[dict, float] | None) -> np.ndarray:
    """Next frames without the rim, `(n, T, height, width, 3)` in [0, 1].

    Args:
        clips: `(n, T + 1, height, width, 3)`, uint8.
        way: Options of a network with solved filters, and the share of the last motion
            that goes on; `None` to copy the last frame.
    """
    rim = slice(KERNEL_SIZE // 2, -(KERNEL_SIZE // 2))
    if way is None:
        return clips[:, :-1, rim, rim].astype("float32") / 255
    options, persistence = way
    model = make_network(
        Experiment(
            name="",
            group="",
            title="",
            clips=Footage(size=clips.shape[2]),
            network={"kernel_size": KERNEL_SIZE, **options},
            backbone=SMALLEST,
        )
    )
    weights = model.motion.forecaster.persistence
    weights.assign(np.full(weights.shape, persistence))
    predict = tf.function(lambda batch: model(batch)["next_frames"])
    parts = [
        predict(tf.constant(clips[i : i + 16, :NUM_FRAMES])).numpy()
        for i in range(0, len(clips), 16)
    ]
    return np.concatenate(parts)[:, :, rim, rim]


def quality(clips: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """PSNR of every clip, `(n, 2)`: of the observed transitions and the unseen one."""
    rim = slice(KERNEL_SIZE // 2, -(KERNEL_SIZE // 2))
    real = clips[:, 1:, rim, rim].astype("float32") / 255
    last = real.shape[1] - 1
    return np.array(
        [
            [psnr(r[:last], p[:last]), psnr(r[last:], p[last:])]
            for r, p in zip(real, predicted, strict=True)
        ]
    )


def table(clips: np.ndarray) -> list[str]:
    """Rows of a Markdown table."""
    qualities = {
        title: quality(clips, predictions(clips, way)) for title, way in ROWS.items()
    }
    frames = clips.astype("float32") / 255
    best = least_squares_prediction(frames, KERNEL_SIZE).astype("float32")
    qualities["one filter, in hindsight"] = quality(clips, best)
    for segments in (2, 3, 5):
        best = segments_in_hindsight(frames, KERNEL_SIZE, segments)
        qualities[f"{segments} segments, in hindsight"] = quality(clips, best)
    rows = []
    for title, values in qualities.items():
        cells = []
        for part in (0, 1):
            cells.append(mean_of(values[:, part]).text(digits=2))
            gain = values[:, part] - qualities["one filter"][:, part]
            cells.append(mean_of(gain).text(digits=2, sign=True))
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return rows


def spread(data: LabelledClips) -> np.ndarray:
    """`CLIPS` clips, spread evenly, that have no still transition.

    The PSNR of a still picture has no limit, and says nothing of motion.
    """
    clips = held_out_clips(data, NUM_FRAMES + 1, "natural")
    moved = np.abs(np.diff(clips.astype("int16"), axis=1)).mean(axis=(2, 3, 4))
    clips = clips[moved.min(axis=1) > 255 * STILL]
    return clips[np.linspace(0, len(clips) - 1, CLIPS).astype(int)]


def main(argv: list[str] | None = None) -> int:
    """Prints a table for people, one for real footage, or both."""
    sources = {
        "people": lambda cache: load_clips(ClipSet(), cache),
        "street": lambda cache: load_footage(Footage(), cache),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.segments")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(sources)}"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/accuracy"))
    arguments = parser.parse_args(argv)
    for name in arguments.names or sources:
        clips = spread(sources[name](arguments.cache)["test"])
        print(f"| {name} | observed, dB | less one filter | unseen, dB | less one |")
        print("| --- | --- | --- | --- | --- |")
        print("\n".join(table(clips)), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
