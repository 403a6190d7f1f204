"""Comparisons of artefacts with Keras as a table on the terminal."""

from collections.abc import Iterable

from keras_dynamonet.cli.output import make_table, result_console
from keras_dynamonet.exporters.parity import ParityReport
from keras_dynamonet.exporters.parity_report import COLUMNS, table_rows


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
