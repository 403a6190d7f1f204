"""The report's drawings: curves, confusion matrix, accuracy per class.

Each function returns a Matplotlib figure, to be put on the page by
:func:`keras_dynamonet.reports.svg.to_svg` or saved as any other figure. They draw
inside :func:`keras_dynamonet.reports.svg.figure_style`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.reports.results import Classification
from keras_dynamonet.reports.theme import (
    CARD,
    FLOOR,
    INK,
    LINE,
    MODEL,
    TRAIN,
)
from keras_dynamonet.reports.wording import percent

MAX_CLASSES_WITH_COUNTS = 24
"""Up to here a confusion matrix carries a number in each cell."""

MAX_CLASSES_PER_PANEL = 34
"""More classes than this are spread over several accuracy charts."""

MAX_NAME_LENGTH = 26
"""Longer class names are cut in drawings; the page's table has them whole."""


def curve(
    history: Mapping[str, Sequence[float]],
    key: str,
    *,
    label: str,
    share: bool = False,
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """One quantity over the epochs, on training and validation clips.

    Args:
        history: Values an epoch by name; validation values under `"val_" + key`.
        key: The quantity, e.g. `"accuracy"`.
        label: Label of the vertical axis.
        share: Whether the values are shares, to be shown in per cent.
        levels: Names and heights of horizontal lines to compare with.

    Returns:
        The figure, wide 3.3 inches, before its labels.
    """
    figure = Figure(figsize=(3.3, 2.3))
    axes = figure.subplots()
    lines = []
    for name, text, colour, style in (
        (key, "training", TRAIN, "--"),
        (f"val_{key}", "validation", MODEL, "-"),
    ):
        values = np.asarray(history.get(name, ()), dtype=float)
        if values.size == 0:
            continue
        epochs = np.arange(1, values.size + 1)
        axes.plot(
            epochs,
            values,
            style,
            color=colour.marker,
            linewidth=1.8,
            marker="o" if values.size <= 30 else None,
            markersize=3,
        )
        lines.append((epochs[-1], values[-1], text, colour))
    if share:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for name, height in (levels or {}).items():
        colour = FLOOR.marker
        below = height > np.quantile(axes.get_ylim(), 0.12)
        axes.axhline(height, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            name,
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(0, -3 if below else 2),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            color=colour,
            fontsize=9,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.margins(x=0.02)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    _label_ends(axes, lines)
    return figure


def confusion_matrix(result: Classification) -> Figure:
    """Shares of each true class, a row each.

    Few classes get the number of videos in every cell; many classes become a picture
    whose bright places off the diagonal are the mistakes.

    Args:
        result: What was recognised.

    Returns:
        The figure, wide 5 to 11 inches.
    """
    counts = result.confusion
    classes = len(result.class_names)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    few = classes <= MAX_CLASSES_WITH_COUNTS
    side = np.clip(0.52 * classes, 2.6, 5.6) if classes <= 10 else 7.0
    if classes > 2 * MAX_CLASSES_WITH_COUNTS:
        side = min(9.5, 0.088 * classes + 1.0)
    figure = Figure(figsize=(side, side))
    axes = figure.subplots()
    if few:
        _draw_cells(axes, counts, shares)
    else:
        pixels = np.zeros((classes, classes, 4))
        pixels[..., :3] = to_rgb("#2f8fd0")  # seen on a light and on a dark page
        # The square root lifts rare mistakes into view.
        pixels[..., 3] = np.sqrt(shares)
        axes.imshow(pixels, interpolation="none", aspect="equal")
    names = [_short(name) for name in result.class_names]
    size = 9.5 if classes <= 12 else 8.5 if few else max(4.0, 62.0 * side / classes)
    ticks = np.arange(classes)
    axes.set_xticks(ticks, names, rotation=90 if classes > 10 else 40, fontsize=size)
    if classes <= 10:
        for text in axes.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")
    axes.set_yticks(ticks, names, fontsize=size)
    axes.tick_params(length=0, pad=3)
    axes.set_xlim(-0.5, classes - 0.5)
    axes.set_ylim(classes - 0.5, -0.5)
    axes.set_xlabel("named by the model")
    axes.set_ylabel("true class")
    axes.grid(False)
    axes.spines[:].set_visible(not few)
    return figure


def class_accuracy(result: Classification) -> list[Figure]:
    """Accuracy of each class with its 95 % interval.

    Args:
        result: What was recognised. Classes without a video are left out.

    Returns:
        One figure; several where there are many classes. Few classes keep their
        order, many are sorted, worst first.
    """
    totals = result.confusion.sum(axis=1)
    hits = np.diag(result.confusion)
    order = [i for i in range(len(totals)) if totals[i]]
    if len(order) > MAX_CLASSES_WITH_COUNTS:
        order.sort(key=lambda i: (hits[i] / totals[i], i))
    panels = -(-len(order) // MAX_CLASSES_PER_PANEL)
    size = -(-len(order) // panels)
    return [
        _accuracy_panel(result, order[start : start + size], hits, totals)
        for start in range(0, len(order), size)
    ]


def _accuracy_panel(result, order, hits, totals) -> Figure:
    figure = Figure(
        figsize=(5.2, 0.9 + (0.36 if len(order) < 13 else 0.21) * len(order))
    )
    axes = figure.subplots()
    for place, index in enumerate(order):
        share = hits[index] / totals[index]
        low, high = wilson_interval(int(hits[index]), int(totals[index]))
        axes.barh(place, share, height=0.62, color=MODEL.marker, alpha=0.32)
        axes.plot([low, high], [place, place], color=MODEL.marker, linewidth=1.6)
        axes.plot(share, place, "o", color=MODEL.marker, markersize=5)
    levels = {"guessing": result.chance}
    if result.order_blind_ceiling is not None:
        levels["order-blind ceiling"] = result.order_blind_ceiling
    for name, level in levels.items():
        axes.axvline(level, color=FLOOR.marker, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{name} {percent(level)}",
            (level, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="left" if level < 0.6 else "right",
            color=FLOOR.marker,
            fontsize=9,
        )
    names = [_short(result.class_names[index]) for index in order]
    axes.set_yticks(np.arange(len(order)), names, fontsize=9 if len(order) > 12 else 10)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.tick_params(axis="y", length=0)
    for text in axes.get_yticklabels():
        text.set_color(INK.marker)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("videos named right")
    return figure


def _draw_cells(axes, counts, shares) -> None:
    classes = len(counts)
    size = 10 if classes <= 12 else 7.5
    for row in range(classes):
        for column in range(classes):
            on = row == column
            axes.add_patch(
                _cell(row, column, shares[row, column], MODEL if on else FLOOR)
            )
            if counts[row, column] == 0:
                continue
            axes.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                fontsize=size,
                color=CARD.marker if shares[row, column] > 0.55 else INK.marker,
            )


def _cell(row, column, share, colour):
    from matplotlib.patches import Rectangle

    return Rectangle(
        (column - 0.47, row - 0.47),
        0.94,
        0.94,
        facecolor=colour.marker if share else LINE.marker,
        alpha=0.18 + 0.82 * share if share else 0.35,
        linewidth=0,
    )


def _label_ends(axes, lines) -> None:
    """Names the curves at their right ends, the higher one above."""
    if not lines:
        return
    highest = max(lines, key=lambda line: line[1])
    for epoch, value, text, colour in lines:
        above = len(lines) == 1 or text == highest[2]
        axes.annotate(
            text,
            (epoch, value),
            xytext=(6, 2 if above else -2),
            textcoords="offset points",
            va="bottom" if above else "top",
            color=colour.marker,
            fontsize=9.5,
            annotation_clip=False,
        )


def _short(name: str) -> str:
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return name[: MAX_NAME_LENGTH - 1] + "…"
