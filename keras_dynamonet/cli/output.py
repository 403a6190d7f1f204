"""What the programs write: results to standard output, the rest to standard error."""

import contextlib
import importlib
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from keras_dynamonet.strict_json import strict

PACKAGE = "keras_dynamonet"


def error_console() -> Console:
    """The console on standard error, for messages and progress bars."""
    return _ERRORS


def result_console() -> Console:
    """A console on standard output, for results."""
    # Names of classes and files are no markup, whatever brackets they have.
    return Console(
        highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty()
    )


_ERRORS = Console(stderr=True, highlight=False, emoji=False)


def fail(message: str, *, status: int = 1) -> int:
    """Writes one line about an error and returns the exit status."""
    say(f"dynamonet: error: {message}")
    return status


def say(message: str) -> None:
    """Writes a line to standard error, above any progress bar."""
    _ERRORS.print(message, markup=False, soft_wrap=True)


def say_error(line: str, errors: list[str]) -> None:
    """Writes an error that does not end the program, and notes it among the others."""
    errors.append(line)
    say(f"error: {line}")


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Writes one JSON document to standard output; NaN and infinity become null."""
    print(json.dumps(strict(document), indent=indent, allow_nan=False), flush=True)


def make_table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """A plain table; the columns in `numbers` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def warn_trained_on(count: int, total: int) -> None:
    """Says that a model is judged on what it has learnt from."""
    say(
        f"warning: the model was trained on {count} of these {total} videos; the "
        "figures do not hold for others."
    )


@contextlib.contextmanager
def step_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar as a function of steps done and steps in all.

    It shows on a terminal only, and goes away at the end.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_ERRORS,
        transient=True,
        disable=not _ERRORS.is_terminal,
    )
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def replace_closed_streams() -> None:
    """Gives a process without standard streams some that lead nowhere.

    Services and `>&-` start such processes. To Python the stream is None then, and the
    next file that anybody opens gets its number, into which libraries in C write what
    they have to say.
    """
    for number, name, mode in (
        (0, "stdin", "r"),
        (1, "stdout", "w"),
        (2, "stderr", "w"),
    ):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))


def accept_any_name() -> None:
    """Lets standard output take names that its encoding has no characters for.

    File names are bytes: those that are no UTF-8 come out as they are. A terminal that
    knows less than UTF-8 gets escapes such as `\\xe9`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        unicode = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        errors = "surrogateescape" if unicode else "backslashreplace"
        sys.stdout.reconfigure(errors=errors)


def setup_logging(*, verbose: bool) -> None:
    """Sends the library's messages to standard error, above any progress bar.

    Args:
        verbose: Whether to show details, and the library's time stamps.
    """
    handler = _ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger(PACKAGE)
    package.handlers = [handler]
    package.setLevel(logging.DEBUG if verbose else logging.INFO)
    package.propagate = False
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")


def load_tensorflow(*, verbose: bool = False) -> None:
    """Imports TensorFlow without the lines it prints before one can ask it not to.

    They come from compiled code, so the file behind standard error is put aside
    meanwhile; it is shown after all if the import fails.
    """
    if "tensorflow" in sys.modules:
        return
    with contextlib.nullcontext() if verbose else _quiet_standard_error():
        importlib.import_module("tensorflow")


class _ConsoleHandler(logging.Handler):
    """Prints log records with rich, which knows where progress bars are."""

    def emit(self, record: logging.LogRecord) -> None:
        warning = record.levelno > logging.INFO
        level = f"{record.levelname.lower()}: " if warning else ""
        say(f"{level}{self.format(record)}")


@contextlib.contextmanager
def _quiet_standard_error() -> Iterator[None]:
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except Exception:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
