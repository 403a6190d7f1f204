"""Drawings of how well each class is recognised.

Each function returns a Matplotlib figure, to be put on the page by
:func:`keras_dynamonet.reports.svg.to_svg` or saved as any other figure. They draw
inside :func:`keras_dynamonet.reports.svg.figure_style`.
"""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from keras_dynamonet.reports.intervals import wilson_interval
from keras_dynamonet.reports.results import Classification
from keras_dynamonet.reports.theme import CARD, FLOOR, INK, LINE, MODEL
from keras_dynamonet.reports.wording import percent

MAX_CLASSES_WITH_COUNTS = 24
"""Up to here a confusion matrix carries a number in each cell."""

MAX_CLASSES_PER_PANEL = 34
"""More classes than this are spread over several accuracy charts."""

MAX_NAME_LENGTH = 26
"""Longer class names are cut in drawings; the page's table has them whole."""


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
    return Rectangle(
        (column - 0.47, row - 0.47),
        0.94,
        0.94,
        facecolor=colour.marker if share else LINE.marker,
        alpha=0.18 + 0.82 * share if share else 0.35,
        linewidth=0,
    )


def _short(name: str) -> str:
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return name[: MAX_NAME_LENGTH - 1] + "…"
