"""Writes a report as one HTML page that needs no other file and no network."""

import os
import re
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from keras_dynamonet.files import atomic_path
from keras_dynamonet.reports import number_parts, picture_parts
from keras_dynamonet.reports.contents import Report
from keras_dynamonet.reports.images import ERROR_GAIN, colour_stops
from keras_dynamonet.reports.svg import figure_style
from keras_dynamonet.reports.theme import css_variables
from keras_dynamonet.reports.wording import percent
from keras_dynamonet.version import __version__

SECTION_TITLES = {
    "task": "The task",
    "recognition": "What it recognises",
    "learning": "How it learnt",
    "frames": "The next frame",
    "filters": "The motion filters",
    "examples": "Predictions on single videos",
    "command": "On a video of your own",
    "made": "How this was made",
    "limits": "What this does not show",
}
"""The page's sections in order; those without content are left out."""


def write_report(report: Report, path: str | os.PathLike) -> Path:
    """Writes the page, whole or not at all.

    Args:
        report: What to show.
        path: The HTML file, replaced if it exists.

    Returns:
        The path written.

    Example:

    ```python
    from keras_dynamonet.reports import Classification, Report, write_report

    result = Classification(["sit", "rise"], [[8, 2], [1, 9]])
    write_report(Report("Chairs", classification=result), "report.html")
    ```
    """
    path = Path(path)
    page = render_html(report)
    with atomic_path(path) as temporary:
        # Names of files need not be UTF-8.
        temporary.write_text(page, "utf-8", "replace")
    return path


def render_html(report: Report) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_dynamonet.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    template = environment.get_template("report.html.j2")
    with figure_style():
        return template.render(_context(report))


def _breakable(text: str) -> Markup:
    """Lets a line break after the underscores and slashes of a long class name."""
    return Markup(re.sub("([_/])", r"\1<wbr>", str(escape(text))))


def _context(report: Report) -> dict:
    parts = {
        "recognition": number_parts.recognition(report.classification),
        "curves": number_parts.curves(report.history, report.classification),
        "frame_table": number_parts.frame_table(report.frame_prediction),
        "frame_clips": report.frame_prediction and report.frame_prediction.clips,
        "frame_note": report.frame_prediction and report.frame_prediction.note,
        "strips_observed": picture_parts.strips(report.strips, unseen=False),
        "strips_unseen": picture_parts.strips(report.strips, unseen=True),
        "filters": picture_parts.filters(report.filters),
        "example_groups": picture_parts.example_groups(report.examples),
        "command": picture_parts.command(report.command_shown),
        "made": number_parts.provenance(report.provenance),
        "limits": list(report.limits),
        **picture_parts.task(report),
    }
    present = {
        "task": report.task_intro or report.task,
        "recognition": parts["recognition"],
        "learning": parts["curves"],
        "frames": parts["frame_table"] or report.strips,
        "filters": parts["filters"],
        "examples": parts["example_groups"],
        "command": parts["command"],
        "made": parts["made"],
        "limits": parts["limits"],
    }
    titles = {key: text for key, text in SECTION_TITLES.items() if present[key]}
    return {
        **parts,
        "title": report.title,
        "subtitle": report.subtitle,
        "notice": report.notice,
        "headline": number_parts.headline(report),
        "tiles": number_parts.tiles(report),
        "sections": titles,
        "css_variables": css_variables,
        "error_gain": ERROR_GAIN,
        "error_full": percent(1 / ERROR_GAIN),
        "error_stops": colour_stops("inferno"),
        "filter_stops": colour_stops("RdBu_r"),
        "version": __version__,
    }
