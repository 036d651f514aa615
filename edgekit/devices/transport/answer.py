"""What a program on a device came to, behind whatever connection; and the error for one that failed."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from edgekit.errors import DeviceError


@dataclass(frozen=True)
class Answer:
    """What a request came to.

    Attributes:
        status: Exit code; 128 and the signal's number for a program that a signal ended.
        output: Standard output.
        errors: Lines on standard error.
    """

    status: int
    output: str
    errors: tuple[str, ...]

    @property
    def signal(self) -> str | None:
        """Name of the signal that ended the program, or None."""
        try:
            return signal.Signals(self.status - 128).name if self.status > 128 else None
        except ValueError:
            return None


def failure(device: str, answer: Answer) -> DeviceError:
    """The `DeviceError` for a request that failed on *device*."""
    said = [line for line in (*answer.errors, *answer.output.splitlines()) if line.strip()]
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in said):
        hint = "free some space there; what was deployed before still runs"
        return DeviceError("EK-DEVICE", f"{device}: the disk is full", hint)
    if answer.signal is not None:
        return death(device, "a program", answer)
    return DeviceError("EK-DEVICE", f"{device}: {said[-1] if said else f'exit code {answer.status}'}")


def death(device: str, what: str, answer: Answer) -> DeviceError:
    """The `DeviceError` for *what*, which a signal ended on *device*."""
    hint = {
        "SIGKILL": "out of memory, most likely: use a smaller variant or fewer threads",
        "SIGILL": "its code has instructions that this processor lacks: use another variant or engine",
        "SIGBUS": "out of memory or disk, most likely",
    }.get(answer.signal or "", "its native code crashed: use another variant or engine")
    return DeviceError("EK-CRASHED", f"{device}: {what} was ended by a signal ({answer.signal})", hint)
