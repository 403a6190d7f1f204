"""How much memory a program and the processes it starts hold at once."""

import os
import threading
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class MemoryMeter:
    """Watches the resident memory of this process and all below it.

    Memory that processes share is counted in each of them, so the figure is, if
    anything, too high. Needs `/proc` (Linux); elsewhere `peak_gib` is `None`.

    Args:
        interval_seconds: Time between two looks.

    Example:

    ```python
    with MemoryMeter() as meter:
        work()
    print(meter.peak_gib)
    ```
    """

    def __init__(self, interval_seconds: float = 0.5):
        self._interval = interval_seconds
        self._peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryMeter":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_gib(self) -> float | None:
        """The most seen so far, in GiB."""
        self._look()
        return self._peak_bytes / 2**30 if self._peak_bytes else None

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self._look()

    def _look(self) -> None:
        self._peak_bytes = max(self._peak_bytes, resident_bytes(os.getpid()))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants in bytes, 0 without `/proc`."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
        tasks = list((_PROC / str(pid) / "task").iterdir())
    except (OSError, IndexError, ValueError):  # ended meanwhile, or no such folder
        return 0
    children = set()
    for task in tasks:
        try:
            children.update((task / "children").read_text().split())
        except OSError:
            continue
    return pages * _PAGE_BYTES + sum(resident_bytes(int(child)) for child in children)
