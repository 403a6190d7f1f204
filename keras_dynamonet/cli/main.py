"""The command `dynamonet`."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from keras_dynamonet.cli.output import fail, setup_logging
from keras_dynamonet.errors import UserError
from keras_dynamonet.version import __version__

PROGRAMS = (
    *("demo", "train", "evaluate", "predict", "scan", "mocap"),
    *("import_weights", "summary", "export", "serve_client"),
)
"""Modules of this package in the order of `--help`; each has `add_parser`."""

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C
BAD_USAGE = 2


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command and of all its programs.

    A program's module imports what it needs when it runs, so that `--help` and a
    mistyped flag are answered at once.
    """
    parser = argparse.ArgumentParser(
        prog="dynamonet",
        description="Human action recognition in video with dynamic motion filters.",
        epilog="Start with: dynamonet demo",
    )
    parser.add_argument(
        "--version", action="version", version=f"keras-dynamonet {__version__}"
    )
    subparsers = parser.add_subparsers(
        title="programs", dest="program", metavar="PROGRAM", required=True
    )
    for name in PROGRAMS:
        try:
            module = importlib.import_module(f"keras_dynamonet.cli.{name}")
        except ModuleNotFoundError as e:
            if e.name != f"keras_dynamonet.cli.{name}":
                raise
            continue
        module.add_parser(subparsers)
    for subparser in set(subparsers.choices.values()):
        subparser.formatter_class = argparse.RawDescriptionHelpFormatter
        subparser.add_argument(
            "--verbose", action="store_true", help="say more on standard error"
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one program.

    Args:
        argv: Arguments after the name of the command. Default: those of the process.

    Returns:
        Exit status: 0 only on success, 1 for an error, 2 for bad usage, 130 when
        stopped by Ctrl-C.

    Raises:
        SystemExit: On `--help`, `--version` and bad usage, as argparse does.
    """
    arguments = make_parser().parse_args(argv)
    setup_logging(verbose=arguments.verbose)
    try:
        return arguments.run(arguments)
    except UserError as error:
        logging.getLogger(__name__).debug("The error in full:", exc_info=True)
        return fail(str(error))
    except KeyboardInterrupt as interrupt:
        return fail(str(interrupt) or "stopped.", status=INTERRUPTED)
    except BrokenPipeError:
        # The reader of the output has gone, e.g. `head`: no error of ours. Python
        # would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
