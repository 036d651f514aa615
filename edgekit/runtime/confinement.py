"""What a process that runs model files of others puts up with: bounds that are set before it sees the first byte.

A file that was made for it can have an engine ask for all memory there is, write without end, or run machine code. The
process then costs itself and nothing else: it is the first to go when memory runs out, leaves no core file, and ends
with the process that started it, whatever its native code is at.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from edgekit.runtime import memory
from edgekit.runtime.children import LIFELINE
from edgekit.runtime.signals import leave_to_parent

#: Memory of its own that such a process may always ask for; otherwise this share of what was free.
_LEAST_BYTES, _SHARE = 1 << 30, 0.9
#: Address space on top of that: libraries are mapped, and allocators and threads reserve what they never touch.
_RESERVED_BYTES = 16 << 30
#: Of any file that it writes: its log, or what an engine keeps of a compiled model.
_MOST_FILE_BYTES = 1 << 30


def confine() -> None:
    """Bind this process; called first of all in it. What the system does not know is left out."""
    leave_to_parent()
    end_with_parent()
    with contextlib.suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    leave_no_core()
    _limit("RLIMIT_FSIZE", _MOST_FILE_BYTES)
    _limit("RLIMIT_DATA", _most_bytes())


def leave_no_core() -> None:
    """A crash of this process leaves no file of all that it had in memory."""
    _limit("RLIMIT_CORE", 0)


def confine_addresses() -> None:
    """Bind the address space, too: for engines on the processor. Drivers of accelerators reserve what there is."""
    taken = memory.own_bytes().get("VmSize")  # addresses that it has mapped
    if taken is not None:
        _limit("RLIMIT_AS", taken + _most_bytes() + _RESERVED_BYTES)


def _most_bytes() -> int:
    free = memory.available_bytes()
    return _LEAST_BYTES if free is None else max(_LEAST_BYTES, int(_SHARE * free))


def end_with_parent() -> None:
    """Have the kernel end this process when its parent's end of the lifeline is closed.

    The signal that prctl(2) has for that is sent when the thread ends that started this process, which may be earlier.
    """
    import fcntl
    import select

    line = os.environ.pop(LIFELINE, "")
    if not line.isdecimal():
        return
    descriptor = int(line)
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:  # it was closed before
        os._exit(1)


def _limit(name: str, most: int) -> None:
    import resource

    number = getattr(resource, name, None)
    if number is not None:
        _, hard = resource.getrlimit(number)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(number, (most, most))
