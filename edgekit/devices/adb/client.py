"""The ``adb`` program of this machine: found, and called with a time limit, which it does not have itself.

``$EDGEKIT_ADB`` names the program where it is not on ``PATH``. Its own variables hold: ``ANDROID_ADB_SERVER_PORT``,
``ADB_SERVER_SOCKET``, and ``ANDROID_SERIAL`` for the phone that is meant where none is named.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.errors import DeviceError

#: Between two looks whether the phone is still there.
_WATCH_S = 10.0


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
    """Path of ``adb``.

    Raises:
        DeviceError: ``EK-CONNECT``: there is none.
    """
    given = os.environ.get("EDGEKIT_ADB")
    found = shutil.which(given or "adb")
    if found is not None:
        return found
    if given:
        raise DeviceError("EK-CONNECT", f"EDGEKIT_ADB names {given}, which is no program", "unset it, or correct it")
    hint = "Debian or Ubuntu: apt-get install adb; elsewhere Android's platform-tools. Or name it in EDGEKIT_ADB"
    raise DeviceError("EK-CONNECT", "adb is not installed on this machine", hint)


def call(arguments: Sequence[str], *, timeout_s: float, watch: Callable[[], None] | None = None) -> Call:
    """Run ``adb`` with *arguments* to its end.

    Args:
        watch: Called every ten seconds; what it raises ends the call.

    Raises:
        Late: It took longer than *timeout_s*.
        DeviceError: ``EK-CONNECT``: there is no adb.
    """
    deadline = time.monotonic() + timeout_s
    pipe = subprocess.PIPE
    # A session of its own: Ctrl-C is for edgekit, which ends the call, upon which the phone ends what it started.
    process = subprocess.Popen(
        [program(), *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        while True:
            left_s = deadline - time.monotonic()
            try:
                output, errors = process.communicate(timeout=max(0.0, min(left_s, _WATCH_S)))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    raise Late from None
                if watch is not None:
                    watch()
                continue
            return Call(process.returncode, output, errors.decode(errors="replace"))
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
