"""On which core a process runs.

Cores differ, even of one kind: in what shares their caches, and in what else runs there. The system leaves a process
where it was, so that one of two equal processes can be slower for as long as it lives: by 5 % on two virtual cores.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

#: Of ``processor`` in proc_pid_stat(5), counted from the field behind the name.
_PROCESSOR = 36


def current_core() -> int | None:
    """The core that this process's first thread runs on, or ran on last; None where the system does not tell."""
    try:
        return int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[_PROCESSOR])
    except (OSError, ValueError, IndexError):
        return None


@contextlib.contextmanager
def begun_on(core: int | None) -> Iterator[Callable[[], None]]:
    """Move this thread to *core*. What is yielded gives it back all the cores that it had, on which it may be moved or
    not; so does the end.

    With None, or where it may not run there, nothing is done.
    """
    allowed = os.sched_getaffinity(0) if core is not None and hasattr(os, "sched_setaffinity") else set()
    if core not in allowed:
        yield lambda: None
        return

    def release() -> None:
        os.sched_setaffinity(0, allowed)

    try:
        os.sched_setaffinity(0, {core})
        yield release
    finally:
        release()
