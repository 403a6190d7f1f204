"""Stopping between two steps instead of in the middle of one."""

import logging
import signal
import threading
from types import FrameType

logger = logging.getLogger(__name__)


class TrainingInterrupted(KeyboardInterrupt):
    """A signal stopped training, a checkpoint is written. Says how to go on."""


class StopRequest:
    """Notes SIGINT (Ctrl-C) and SIGTERM, to be looked at between two steps.

    A signal that arrives during a step would leave it open whether the weights hold
    that step or not. So the first one is only noted; a second Ctrl-C stops at once.
    Use as a context manager around training. Outside the main thread, where Python
    takes no signals, it does nothing.

    Example:

    ```python
    with StopRequest() as stop:
        while not stop.requested:
            train_one_step()
    ```
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self._noted = False
        self._previous = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has asked to stop."""
        return self._noted

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._noted = True
        again = "; press Ctrl-C again to stop at once" * (number == signal.SIGINT)
        logger.warning("Stopping after this step and writing a checkpoint%s.", again)
