"""What a program on a device came to, behind whatever connection; and the error for one that failed."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from edgekit.errors import DeviceError, EdgekitError, Interrupted, from_json
from edgekit.runtime.children import Death


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
    def death(self) -> Death | None:
        """How the program died, if a signal ended it."""
        return Death(128 - self.status) if self.status - 128 in signal.valid_signals() else None

    def must(self, device: str) -> str:
        """The output of what had to succeed on *device*. Raises as `failure` gives it: it did not."""
        if self.status != 0:
            raise failure(device, self)
        return self.output


def failure(device: str, answer: Answer, program: str = "a program") -> EdgekitError:
    """The `DeviceError` for a request that failed on *device*, or a *program* there that died."""
    said = [line for line in (*answer.errors, *answer.output.splitlines()) if line.strip()]
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in said):
        hint = "free some space there; what was deployed before still runs"
        return DeviceError("EK-DEVICE", f"{device}: the disk is full", hint)
    if answer.death is not None:
        return answer.death.error(f"{device}: {program}", DeviceError)
    return DeviceError("EK-DEVICE", f"{device}: {said[-1] if said else f'exit code {answer.status}'}")


def told(device: str, value: object) -> EdgekitError:
    """The error that edgekit on *device* gives as *value*, as one of *device*'s.

    Raises:
        ValueError: *value* describes none.
    """
    error = from_json(value)
    kind = DeviceError if isinstance(error, Interrupted) else type(error)  # nobody here stopped it
    return kind(error.code, f"{device}: {error.message}", error.hint)
