"""Ending the program while tf.data still reads ahead.

The threads of tf.data are not Python's: nobody stops them when the interpreter shuts
down. One that then asks for the interpreter lock is ended by Python for good, and
TensorFlow, which waits for its answer while it clears up, waits for ever. So the
program must be idle in this sense before it ends, also after Ctrl-C.
"""

import atexit
import threading
import time
from collections.abc import Callable

# A stream that nobody reads fills its buffers and then makes no more calls. The gap
# between two calls is well below this.
_QUIET_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0


class _Calls:
    """Counts calls under way and knows whether the program is ending."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = 0
        self._last = -_QUIET_SECONDS
        self.ending = False

    def begin(self) -> None:
        with self._lock:
            self._running += 1

    def end(self) -> None:
        with self._lock:
            self._running -= 1
            self._last = time.monotonic()

    def wait_until_quiet(self) -> None:
        self.ending = True
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                quiet = time.monotonic() - self._last > _QUIET_SECONDS
                if quiet and not self._running:
                    return
            time.sleep(_QUIET_SECONDS / 10)


_calls = _Calls()
atexit.register(_calls.wait_until_quiet)


def idle_at_exit(function: Callable, placeholder: Callable) -> Callable:
    """Wraps a function that tf.data calls, so that the program can end.

    Args:
        function: Does the work.
        placeholder: Takes the same arguments; its result fills the buffers while the
            program ends. Nobody sees it: the threads that could have are gone.

    Example:

    >>> idle_at_exit(lambda x: x + 1, lambda x: 0)(1)
    2
    """

    def call(*args):
        _calls.begin()
        try:
            return placeholder(*args) if _calls.ending else function(*args)
        finally:
            _calls.end()

    return call
