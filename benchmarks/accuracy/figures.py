"""The figures of the results."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.accuracy.catalogue import CATALOGUE, LABEL_SHARES, LABEL_WAYS
from benchmarks.accuracy.clips import LabelledClips
from benchmarks.accuracy.experiments import SEEDS
from benchmarks.accuracy.intervals import mean_of
from benchmarks.accuracy.results import Results
from keras_dynamonet.layers import FilterSolver

DESCRIPTOR_RIDGE = 1e-2


def filters_of_classes(
    clips: LabelledClips, class_names: Sequence[str], pairs: Sequence[tuple[int, int]]
) -> Figure:
    """Mean solved filter of the classes that are one another's reversal.

    Shown is the motion part: red taps are added to a pixel, blue ones subtracted. The
    time axis runs from left to right, four frames a picture.

    Args:
        clips: Clips of all classes.
        class_names: Names of the classes.
        pairs: Labels of each class and its reversal.
    """
    columns = 4
    figure = Figure(figsize=(7.2, 1.0 * 2 * len(pairs)), layout="constrained")
    axes = figure.subplots(2 * len(pairs), columns)
    for row, label in enumerate(label for pair in pairs for label in pair):
        motion = _mean_motion(clips.clips[clips.labels == label])
        parts = np.array_split(motion, columns)
        largest = max(np.abs(part.mean(axis=0)).max() for part in parts)
        for axis, part in zip(axes[row], parts, strict=True):
            axis.imshow(part.mean(axis=0), cmap="RdBu_r", vmin=-largest, vmax=largest)
            axis.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(
            class_names[label].replace("_", " "),
            rotation=0,
            horizontalalignment="right",
            verticalalignment="center",
            fontsize=8,
        )
    return figure


def _mean_motion(clips: np.ndarray) -> np.ndarray:
    """Mean filters of clips, `(transitions, k, k)`."""
    solver = FilterSolver(5, ridge=DESCRIPTOR_RIDGE)
    solver.build(clips.shape)
    parts = [
        np.asarray(solver(clips[i : i + 25].astype("float32") / 255))
        for i in range(0, len(clips), 25)
    ]
    return np.concatenate(parts).mean(axis=0)[..., 0]


def label_efficiency(results: Results) -> Figure | None:
    """Accuracy over the share of labels, or `None` without results of three seeds."""
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, (way, title) in enumerate(LABEL_WAYS.items()):
        points = []
        for share in LABEL_SHARES:
            experiment = CATALOGUE.get(f"{way}-{round(100 * share)}")
            values = results.of(experiment, "accuracy") if experiment else {}
            if len(values) >= len(SEEDS):
                mean = mean_of(list(values.values()))
                # Side by side, or the intervals would hide one another.
                shown = 100 * share * 1.04**place
                points.append((shown, 100 * mean.value, 100 * mean.radius))
        if points:
            shares, means, radii = zip(*points, strict=True)
            axes.errorbar(shares, means, radii, marker="o", capsize=3, label=title)
    if not axes.lines:
        return None
    axes.set(xscale="log", xlabel="labels, %", ylabel="held-out accuracy, %")
    axes.set_xticks([100 * share for share in LABEL_SHARES])
    axes.set_xticklabels([f"{100 * share:.0f}" for share in LABEL_SHARES])
    axes.minorticks_off()
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure
