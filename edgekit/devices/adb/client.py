"""The ``adb`` program of this machine: found, and called with a time limit, which it does not have itself.

``$EDGEKIT_ADB`` names the program where it is not on ``PATH``. Its own variables hold: ``ANDROID_ADB_SERVER_PORT``,
``ADB_SERVER_SOCKET``, and ``ANDROID_SERIAL`` for the phone that is meant where none is named.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.devices.transport import pipes
from edgekit.errors import DeviceError
from edgekit.runtime import children

#: Between two looks whether the phone is still there.
_WATCH_S = 10.0
#: For a program that has closed its output to end, at least.
_END_S = 1.0
#: What a call may write, unless its caller waits for more; and what is kept of what it says of its troubles.
MOST_BYTES, _MOST_ERROR_BYTES = 1 << 20, 1 << 16


class Late(Exception):
    """A call that took longer than it may, and was ended."""


@dataclass(frozen=True)
class Call:
    """What became of a call of ``adb``. Its exit code alone says little: adb 29 has 0 for a command that was cut off.

    Attributes:
        output: What it wrote, with what a command on the phone wrote.
        errors: The same on standard error. Which of the two adb's own messages go to differs between versions.
    """

    exit_code: int
    output: bytes
    errors: str

    @property
    def said(self) -> list[str]:
        """All that it wrote, line by line."""
        text = f"{self.output.decode(errors='replace')}\n{self.errors}"
        return [line.strip() for line in text.splitlines() if line.strip()]


def program() -> str:
    """Path of ``adb``. Raises `DeviceError` ``EK-CONNECT``: there is none."""
    given = os.environ.get("EDGEKIT_ADB")
    found = children.which(given or "adb")
    if found is not None:
        return found
    if given:
        raise DeviceError("EK-CONNECT", f"EDGEKIT_ADB names {given}, which is no program", "unset it, or correct it")
    hint = "Debian or Ubuntu: apt-get install adb; elsewhere Android's platform-tools. Or name it in EDGEKIT_ADB"
    raise DeviceError("EK-CONNECT", "adb is not installed on this machine", hint)


def call(
    arguments: Sequence[str], *, timeout_s: float, most_bytes: int = MOST_BYTES, watch: Callable[[], None] | None = None
) -> Call:
    """Run ``adb`` with *arguments* to its end.

    Args:
        most_bytes: What it may write.
        watch: Called every ten seconds; what it raises ends the call.

    Raises:
        Late: It took longer than *timeout_s*.
        DeviceError: ``EK-CONNECT``: there is no adb, or it writes more.
    """
    deadline = time.monotonic() + timeout_s
    pipe = subprocess.PIPE
    # A session of its own: Ctrl-C is for edgekit, which ends the call, upon which the phone ends what it started.
    process: subprocess.Popen[bytes] = children.start(
        [program(), *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
    )
    taken = pipes.Collector(process, most_bytes, _MOST_ERROR_BYTES)
    try:
        while not taken.take(max(0.0, min(deadline - time.monotonic(), _WATCH_S))):
            if time.monotonic() >= deadline:
                raise Late
            if watch is not None:
                watch()
        try:
            status = process.wait(max(_END_S, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Late from None
        return Call(status, bytes(taken.output), taken.errors.decode(errors="replace"))
    except pipes.Flood:
        message = f"adb wrote without end where {most_bytes / 1e6:.1f} MB at most were due"
        raise DeviceError("EK-CONNECT", message, "is that phone yours, and in order?") from None
    finally:
        taken.close()
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
