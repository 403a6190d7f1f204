"""The computer that this runs on."""

import os
import platform
from pathlib import Path


def count_cpus() -> int:
    """CPUs that this process may use.

    Example:

    >>> count_cpus() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """What the processor calls itself, e.g. `"Intel(R) Xeon(R) CPU @ 2.80GHz"`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.partition(":")[2].strip()
            for line in lines
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
