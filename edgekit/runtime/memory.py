"""Memory of processes and of the machine, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path

from edgekit.runtime.machine import kilobytes


def resident_bytes(pid: int | str = "self") -> int | None:
    """What a process has in memory now; None when it is gone, or where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return None
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else None


def available_bytes() -> int | None:
    """What a program could have without swapping."""
    return _read("/proc/meminfo").get("MemAvailable")


def total_bytes() -> int | None:
    return _read("/proc/meminfo").get("MemTotal")


def own_bytes() -> dict[str, int]:
    """What the system counts of this process, in bytes by its own names: ``RssAnon``, ``RssFile``, ``VmSize``.

    ``VmHWM`` is the most it has had in memory; `resource.getrusage` would carry over what the parent had.
    """
    return _read("/proc/self/status")


def _read(file: str) -> dict[str, int]:
    try:
        return kilobytes(Path(file).read_text(encoding="ascii", errors="replace"))
    except OSError:
        return {}
