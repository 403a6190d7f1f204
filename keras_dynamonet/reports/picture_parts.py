"""Turns the pictures of a report into what the page's template prints."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from keras_dynamonet.reports import images
from keras_dynamonet.reports.contents import Report
from keras_dynamonet.reports.curve_figures import ROW_STYLES, shift_curves
from keras_dynamonet.reports.exhibits import (
    CommandShown,
    Example,
    FilterComparison,
    FilterRow,
    FrameStrip,
    Loop,
)
from keras_dynamonet.reports.svg import to_svg
from keras_dynamonet.reports.wording import decibels, percent

GUESSES_SHOWN = 3


def task(report: Report) -> dict:
    """One clip a class, opposite classes side by side."""
    result = report.classification
    shown = {clip.label: clip for clip in report.task}
    pairs = []
    for a, b in result.opposites if result else ():
        names = (result.class_names[a], result.class_names[b])
        if all(name in shown for name in names):
            pairs.append([_clip(shown.pop(name)) for name in names])
    return {
        "task_intro": report.task_intro,
        "task_pairs": pairs,
        "task_singles": [_clip(clip) for clip in shown.values()],
    }


def strips(all_strips: Sequence[FrameStrip], *, unseen: bool) -> list[dict]:
    """Pictures of the predicted frames beside the real ones."""
    return [
        {
            "title": strip.title,
            "previous": images.frame_uri(strip.previous),
            "real": images.frame_uri(strip.real),
            "predicted": images.frame_uri(strip.predicted),
            "copy_error": _error_uri(strip.previous, strip.real),
            "error": _error_uri(strip.predicted, strip.real),
            "floor": decibels(strip.bounds.floor),
            "model": decibels(strip.bounds.model),
            "ceiling": ""
            if strip.bounds.ceiling is None
            else decibels(strip.bounds.ceiling),
        }
        for strip in all_strips
        if strip.unseen == unseen
    ]


def filters(comparisons: Sequence[FilterComparison]) -> list[dict]:
    """Rows of filters on one colour scale a comparison."""
    cards = []
    for number, comparison in enumerate(comparisons):
        limit = _colour_limit(comparison)
        cards.append(
            {
                "title": comparison.title,
                "caption": comparison.caption,
                "limit": f"{limit:g}",
                "rows": [
                    {**_filter_row(row, limit), "colour": colour.name, "line": line}
                    for row, (colour, line) in zip(
                        comparison.rows, ROW_STYLES, strict=True
                    )
                ],
                "shifts": _shift_figures(comparison, number),
            }
        )
    return cards


def example_groups(examples: Sequence[Example]) -> list[dict]:
    """Single predictions, right and wrong ones apart."""
    groups = (
        ("Named right", [e for e in examples if not e.is_wrong]),
        ("Named wrong", [e for e in examples if e.is_wrong]),
    )
    return [
        {"title": title, "examples": [_example(e) for e in members]}
        for title, members in groups
        if members
    ]


def command(shown: CommandShown | None) -> dict | None:
    """A command with its output."""
    if shown is None:
        return None
    return {
        "intro": shown.intro,
        "command": shown.command,
        "output": shown.output,
        "example": shown.example and _example(shown.example),
    }


def _error_uri(predicted: np.ndarray, real: np.ndarray) -> str:
    return images.frame_uri(images.error_picture(predicted, real))


def _colour_limit(comparison: FilterComparison) -> float:
    """The value that gets the strongest colour, a round number.

    The middle tap says how much a filter blurs and would drown the others, which say
    where it moves the picture; and a few extreme taps must not bleach all the rest.
    """
    deviations = np.stack(
        [images.without_identity(row.filters) for row in comparison.rows]
    )
    taps = deviations.reshape(-1, deviations.shape[-1] ** 2)
    around = np.delete(taps, taps.shape[1] // 2, axis=1)
    limit = np.quantile(np.abs(around), 0.98) if around.size else 0.0
    return float(f"{max(limit, 1e-6):.1g}")


def _filter_row(row: FilterRow, limit: float) -> dict:
    step = -1 if row.backwards else 1
    steps = list(range(1, len(row.filters) + 1))[::step]
    pixels = images.filters_picture(np.asarray(row.filters)[::step], limit)
    return {
        "label": row.label,
        "uri": images.png_uri(pixels),
        "steps": steps,
        "forecast": len(steps),
    }


def _shift_figures(comparison: FilterComparison, number: int) -> list[Markup]:
    directions = ("sideways", "up and down")
    return [
        Markup(
            to_svg(
                figure,
                f"shift{number}-{place}",
                f"Movement {direction} by the filters of {comparison.title}.",
            )
        )
        for place, (figure, direction) in enumerate(
            zip(shift_curves(comparison), directions, strict=True)
        )
    ]


def _clip(clip: Loop) -> dict:
    height, width = clip.frames.shape[1:3]
    return {
        "label": clip.label,
        "moving": images.loop_uri(clip.frames, clip.fps),
        "still": images.frame_uri(clip.frames[len(clip.frames) // 2]),
        "height": height,
        "width": width,
    }


def _example(example: Example) -> dict:
    named = example.class_names[example.predicted_class]
    if example.true_class is None:
        mark, verdict = "", f"named {named}"
    elif example.is_wrong:
        true = example.class_names[example.true_class]
        mark, verdict = "✗", f"{true}, named {named}"
    else:
        mark, verdict = "✓", named
    true_name = (
        None if example.true_class is None else example.class_names[example.true_class]
    )
    return {
        "clip": _clip(example.clip),
        "wrong": example.is_wrong,
        "mark": mark,
        "verdict": verdict,
        "bars": [
            {
                "name": name,
                "text": percent(share, 0),
                "width": f"{100 * share:.1f}",
                "is_true": name == true_name,
            }
            for name, share in example.top(GUESSES_SHOWN)
        ],
    }
