"""Saying in plain words that a process of a run was lost.

When a process of a run is lost, JAX aborts the others, often from a thread of its own
where no Python code can step in. So the command runs in a child process, and its parent
says what happened and what to do.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence

from keras_dynamonet.cli.failures import describe_failure
from keras_dynamonet.cli.output import fail

_CHILD = "DYNAMONET_SUPERVISED"

LOST = (
    "another process of the run was lost (killed, or its machine failed), and JAX "
    "stopped this one. Go on from the last checkpoint, with as many processes as you "
    "like: dynamonet train --resume RUN"
)


def is_supervised() -> bool:
    """Whether this process is the child of :func:`run_supervised`."""
    return _CHILD in os.environ


def run_supervised(argv: Sequence[str]) -> int:
    """Runs a command of `dynamonet` in a child process.

    Args:
        argv: Arguments after the name of the command.

    Returns:
        Its exit status; 1 if it was aborted or killed.
    """
    return supervise([sys.executable, "-m", "keras_dynamonet.cli.main", *argv])


def supervise(command: Sequence[str]) -> int:
    """Runs any command as :func:`run_supervised` does; signals are passed on to it."""
    child = subprocess.Popen(
        command,
        env={**os.environ, _CHILD: "1"},
        stdin=subprocess.PIPE,
        process_group=0,  # or Ctrl-C would reach it twice
    )
    handlers = {
        number: signal.signal(number, lambda number, _: child.send_signal(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        status = child.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if status >= 0:
        return status
    if status in (-signal.SIGABRT, -signal.SIGSEGV):  # by release of JAX
        return fail(LOST)
    name = signal.Signals(-status).name
    return fail(f"this process of the run was ended by {name}; the others will stop.")


@contextlib.contextmanager
def leave_at_once() -> Iterator[None]:
    """Ends the process at an error inside, without saying good-bye.

    At a regular exit JAX waits for all other processes, and they for this one.
    """
    try:
        yield
    except Exception as error:
        message = describe_failure(error)
        if message is None:
            traceback.print_exc()
        else:
            fail(message)
    else:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def end_with_parent() -> None:
    """Lets this process end when the parent is killed, of which no signal tells."""

    def wait():
        sys.stdin.buffer.read()  # until the parent's end of the pipe is closed
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
