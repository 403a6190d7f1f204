"""Comparisons of artefacts with Keras as tables on the terminal."""

from collections.abc import Sequence

from keras_dynamonet.cli.output import make_table, result_console
from keras_dynamonet.exporters.accuracy import AccuracyComparison
from keras_dynamonet.exporters.parity import PROVING_CLIPS, ParityReport
from keras_dynamonet.exporters.parity_report import (
    ACCURACY_COLUMNS,
    COLUMNS,
    accuracy_row,
    table_rows,
)

# Of the rows of the reports; artefact and number of clips are in the line above, and
# more does not fit into 80 columns beside the outputs of a SavedModel's signatures.
_SHOWN = ("output", "max abs", "max rel", "cosine", "top-1", "verdict")
_PLACES = [COLUMNS.index(name) for name in _SHOWN]
_ACCURACY_NAMES = {"points lost": "lost", "same class": "same"}


def print_parity(reports: Sequence[ParityReport]) -> None:
    """Prints a table for each artefact with one row for each output."""
    width = max(
        (len(entry.output) for report in reports for entry in report.entries),
        default=0,
    )
    for report in reports:
        rows = table_rows(report)
        table = make_table(*_SHOWN, numbers=_SHOWN[1:-1])
        table.columns[0].min_width = width
        for row in rows:
            table.add_row(*(row[place] for place in _PLACES))
        weak = f", a weak proof (fewer than {PROVING_CLIPS})" if report.weak else ""
        _print(
            f"{report.artefact}: {report.precision} in {report.runtime}, "
            f"{_clips_in_words(report.entries[0])}{weak}"
        )
        result_console().print(table)
        _print()


def print_accuracy(comparisons: Sequence[AccuracyComparison]) -> None:
    """Prints one row for each artefact."""
    videos = comparisons[0].keras.total
    _print(
        f"Accuracy on {videos} labelled videos, the middle clip of each "
        "(lost: points of 100; same: videos put in the same class)"
    )
    names = [_ACCURACY_NAMES.get(name, name) for name in ACCURACY_COLUMNS]
    table = make_table(names[0], *names[2:], numbers=names[2:-1])
    table.columns[0].overflow = "fold"
    for comparison in comparisons:
        artefact, _, *cells = accuracy_row(comparison)
        table.add_row(artefact, *cells)
    result_console().print(table)


def _clips_in_words(entry):
    again = entry.distinct_clips < entry.clips
    return f"{entry.clips} clips" + (f", {entry.distinct_clips} distinct" * again)


def _print(line=""):
    result_console().print(line, markup=False)
