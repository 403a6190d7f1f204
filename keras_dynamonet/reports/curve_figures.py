"""Drawings of what changes over epochs and over time.

Each function returns a Matplotlib figure, to be put on the page by
:func:`keras_dynamonet.reports.svg.to_svg` or saved as any other figure. They draw
inside :func:`keras_dynamonet.reports.svg.figure_style`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_dynamonet.reports.exhibits import FilterComparison
from keras_dynamonet.reports.theme import FLOOR, MODEL, MUTED, TRAIN

ROW_STYLES = ((MODEL, "-"), (FLOOR, "--"))
"""Colour and line of the first and the second row of filters."""


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


def filter_shift(filters: np.ndarray) -> np.ndarray:
    """How far each filter moves a picture, by its centre of gravity.

    A filter that is 1 at offset `o` shows what lay there, so it moves the picture by
    `-o`.

    Args:
        filters: `(frames, kernel, kernel)`.

    Returns:
        `(frames, 2)` in pixels: to the right, and upwards. Not a number where the
        taps sum to nearly nothing.

    Example:

    >>> taps = np.zeros((1, 3, 3))
    >>> taps[0, 1, 0] = 1.0  # shows the pixel to the left
    >>> filter_shift(taps).tolist()
    [[1.0, 0.0]]
    """
    filters = np.asarray(filters, dtype=np.float64)
    offsets = np.arange(filters.shape[-1]) - filters.shape[-1] // 2
    weight = filters.sum(axis=(1, 2))
    weight = np.where(np.abs(weight) < 0.1, np.nan, weight)
    right = -(filters * offsets).sum(axis=(1, 2)) / weight
    up = (filters * offsets[:, None]).sum(axis=(1, 2)) / weight
    return np.stack([right, up], axis=1) + 0.0  # no negative zeros


def shift_curves(comparison: FilterComparison) -> list[Figure]:
    """Where the filters of each row move the picture: sideways, and up and down.

    Args:
        comparison: Of two rows.

    Returns:
        Two figures. A row drawn backwards is drawn so here, too; transitions are
        numbered as in the other row.
    """
    shifts = [filter_shift(row.filters) for row in comparison.rows]
    furthest = np.nanmax(np.abs(shifts), initial=0.1)
    figures = []
    for axis, label in enumerate(("to the right, px", "upwards, px")):
        figure = Figure(figsize=(4.6, 1.7))
        axes = figure.subplots()
        axes.axhline(0, color=MUTED.marker, linewidth=0.8)
        for row, shift, (colour, style) in zip(
            comparison.rows, shifts, ROW_STYLES, strict=True
        ):
            axes.plot(
                np.arange(1, len(shift) + 1),
                shift[::-1, axis] if row.backwards else shift[:, axis],
                style,
                color=colour.marker,
                linewidth=1.8,
                marker="o",
                markersize=3,
            )
        axes.set_ylabel(label)
        axes.set_ylim(-1.1 * furthest, 1.1 * furthest)
        axes.margins(x=0.02)
        axes.set_xlabel("transition")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.grid(axis="x", visible=False)
        axes.spines["bottom"].set_visible(False)
        figures.append(figure)
    return figures


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
