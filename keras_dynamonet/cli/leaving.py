"""Ending the process with the status that the program came to."""

import atexit
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Ends the process with a status that stays as it is.

    The file systems of tensorflow-io abort a process that ends in the usual way ("pure
    virtual method called"), whatever its status was. Where they are loaded, it ends
    after Python's own clearing up.

    Args:
        status: Exit status.
    """
    if "tensorflow_io" not in sys.modules:
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
