"""The computer that this runs on."""

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_CONTROL_GROUPS = Path("/proc/self/cgroup")


def count_cpus() -> int:
    """CPUs that this process may use.

    Those it may run on, and no more than a container's quota of time is worth: with a
    quota of two CPUs, 64 processes would stand still most of the time, and take memory.

    Example:

    >>> count_cpus() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    quota = min(map(_quota, _control_groups()), default=math.inf)
    return max(1, math.ceil(min(cpus, quota)))


def _control_groups() -> Iterator[Path]:
    """Folders of the groups that may limit this process's time, inner ones first."""
    try:
        lines = OWN_CONTROL_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # Not Linux.
        return
    for line in lines:
        controllers, _, group = line.partition(":")[2].partition(":")
        if not controllers:  # Version 2 has one tree for everything.
            root = CONTROL_GROUPS
        elif "cpu" in controllers.split(","):
            root = CONTROL_GROUPS / "cpu"
        else:
            continue
        folder = root / group.lstrip("/")
        # A container may see its own group as the root, under its name outside.
        yield from (f for f in (folder, *folder.parents) if f.is_relative_to(root))


def _quota(group: Path) -> float:
    """CPUs that the group's quota of time is worth; infinite without one."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((group / n).read_text() for n in names).split()
            return math.inf if quota in ("max", "-1") else int(quota) / int(period)
        except (OSError, ValueError):  # Not there, or nothing that we understand.
            continue
    return math.inf


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
