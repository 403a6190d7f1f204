"""`dynamonet embed`: a vector for every video of a list, however long."""

import argparse

from keras_dynamonet.cli.argument_types import local_path
from keras_dynamonet.cli.bulk_flags import (
    add_bulk_flags,
    add_view_flags,
    run_bulk_program,
)
from keras_dynamonet.cli.flags import add_model_argument

EXAMPLES = """\
examples:
  dynamonet embed runs/first videos --out vectors
  dynamonet embed runs/first list.csv --out vectors --engine ray --workers 16

Writes a folder of Parquet files, one row a video: path, top, embedding, dmr (the
dynamic motion representation), status and error. Killed, the same command goes on
with what is missing. Read it with pandas.read_parquet("vectors").
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds the program and its options to the command `dynamonet`."""
    parser = subparsers.add_parser(
        "embed",
        help="write the features of any number of videos to Parquet files",
        description="Writes embeddings, motion representations and actions of any "
        "number of videos.",
        epilog=EXAMPLES,
    )
    add_model_argument(parser)
    parser.add_argument("data", metavar="DATA", help="videos, in any layout")
    parser.add_argument(
        "--out",
        type=local_path,
        metavar="DIR",
        required=True,
        help="folder to write to",
    )
    add_view_flags(parser)
    add_bulk_flags(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the vectors."""
    return run_bulk_program(arguments, arguments.data, vectors=True)
