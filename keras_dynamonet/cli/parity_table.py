"""Comparisons of artefacts with Keras as tables on the terminal."""

from collections.abc import Iterable

from keras_dynamonet.cli.output import make_table, result_console
from keras_dynamonet.exporters.accuracy import AccuracyComparison
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.parity_report import (
    ACCURACY_COLUMNS,
    COLUMNS,
    accuracy_row,
    table_rows,
)


def print_parity(reports: Iterable[ParityReport]) -> None:
    """Prints one row for each artefact and output."""
    table = make_table(*COLUMNS, numbers=COLUMNS[2:-1])
    for column in table.columns[:2]:
        column.overflow = "fold"
    for report in reports:
        for row in table_rows(report):
            table.add_row(*row)
        table.add_section()
    result_console().print(table)


def print_accuracy(comparisons: Iterable[AccuracyComparison]) -> None:
    """Prints one row for each artefact."""
    table = make_table(*ACCURACY_COLUMNS, numbers=ACCURACY_COLUMNS[1:-1])
    table.columns[0].overflow = "fold"
    for comparison in comparisons:
        table.add_row(*accuracy_row(comparison))
    result_console().print()
    result_console().print(table)
