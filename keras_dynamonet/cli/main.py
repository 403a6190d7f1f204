"""The command `dynamonet`."""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from keras_dynamonet.cli.failures import describe_failure
from keras_dynamonet.cli.leaving import leave
from keras_dynamonet.cli.output import (
    accept_any_name,
    fail,
    replace_closed_streams,
    setup_logging,
)
from keras_dynamonet.errors import UsageError
from keras_dynamonet.version import __version__

PROGRAMS = {
    "demo": ("demo", "the whole job on the built-in benchmark, ending in a report"),
    "train": ("train", "learn actions from labelled videos"),
    "pretrain": ("train", "learn to predict frames from any videos"),
    "evaluate": ("evaluate", "measure a model on labelled videos"),
    "predict": ("predict", "name the actions in videos"),
    "embed": ("embed", "write the features of any number of videos to Parquet files"),
    "export": ("export", "write artefacts for other runtimes, compared with Keras"),
    "compare": ("compare", "compare exported artefacts with Keras once more"),
    "serve-client": (
        "serve_client",
        "classify videos with a running TensorFlow Serving",
    ),
    "import-weights": (
        "import_weights",
        "turn a PyTorch checkpoint into a .keras model, or back",
    ),
    "benchmark": ("benchmark", "time networks and artefacts on this machine"),
    "summary": ("summary", "count the weights and the arithmetic of a network"),
    "scan": ("scan", "list the videos that cannot be read, and why"),
    "pack": ("pack", "pack videos into shards that are read many times faster"),
    "mocap": ("mocap", "render the motion-capture benchmark to mp4 files"),
}
"""Module in this package and help text of each program, in the order of `--help`.

The texts are those that `add_parser` of the module gives, so that only the module of
the program that is asked for needs to be imported.
"""

BAD_USAGE = 2  # as argparse has it
INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C


def make_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command, with the options of the program that `argv` names.

    Args:
        argv: Arguments after the name of the command.
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
    named = next((word for word in argv if word in PROGRAMS), None)
    wanted = PROGRAMS[named][0] if named else None
    for name, (module_name, text) in PROGRAMS.items():
        if module_name != wanted:
            subparsers.add_parser(name, help=text)
        elif name not in subparsers.choices:
            module = importlib.import_module(f"keras_dynamonet.cli.{module_name}")
            module.add_parser(subparsers)
    if named is not None:
        subparser = subparsers.choices[named]
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
    replace_closed_streams()
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments = _parse(argv)
    arguments.argv = argv
    accept_any_name()
    setup_logging(verbose=arguments.verbose)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt as interrupt:
        return fail(str(interrupt) or "stopped.", status=INTERRUPTED)
    except BrokenPipeError:
        # The reader of the output has gone, e.g. `head`: no error of ours. Python
        # would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = describe_failure(error)
        if message is None:
            raise
        logging.getLogger(__name__).debug("The error in full:", exc_info=True)
        return fail(message, status=BAD_USAGE if isinstance(error, UsageError) else 1)


def _parse(argv: list[str]) -> argparse.Namespace:
    """Arguments in any order: argparse takes no VIDEO behind a flag behind RUN."""
    parser = make_parser(argv)
    arguments, left = parser.parse_known_args(argv)
    videos = getattr(arguments, "videos", None)
    if left and (videos is None or any(word.startswith("-") for word in left)):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        arguments.videos = [*videos, *left]
    return arguments


def command() -> NoReturn:
    """The installed command: runs one program and ends the process."""
    leave(main())


if __name__ == "__main__":
    command()
