"""qemu's user emulation on this machine: one program of another architecture, on this machine's kernel."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekit.errors import DeviceError
from edgekit.runtime import children

#: The first with every core of our boards (Cortex-A76).
MINIMUM = (7, 0)

#: As `edgekit.runtime.machine.userland` names it -> as qemu does.
_GUESTS = {"aarch64": "aarch64", "armv7l": "arm"}

INSTALL = "on Debian or Ubuntu: apt-get install qemu-user"


@dataclass(frozen=True)
class Qemu:
    """An installed qemu.

    Attributes:
        program: Its path.
        version: As numbers.
        plugins: Whether it loads plugins; static builds do not (qemu-user-static, and Debian 13's qemu-user).
    """

    program: str
    version: tuple[int, ...]
    plugins: bool

    @property
    def shown_version(self) -> str:
        return ".".join(map(str, self.version))


def installed(architecture: str) -> Qemu | None:
    """The qemu for guests of *architecture*, the one with plugins if there are two; None when there is none."""
    guest = _GUESTS[architecture]
    programs = [children.which(name) for name in (f"qemu-{guest}", f"qemu-{guest}-static")]
    found = [_examine(program) for program in programs if program]
    return next((qemu for qemu in found if qemu.plugins), found[0] if found else None)


def require(architecture: str) -> Qemu:
    """The qemu for guests of *architecture*.

    Raises:
        DeviceError: ``EK-MISSING-PACKAGE``: there is none, or it is too old.
    """
    qemu = installed(architecture)
    if qemu is None:
        raise DeviceError("EK-MISSING-PACKAGE", f"emulating {architecture} needs qemu, which is not installed", INSTALL)
    if qemu.version < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise DeviceError("EK-MISSING-PACKAGE", f"qemu {qemu.shown_version} is too old: {least} is needed", INSTALL)
    return qemu


def _examine(program: str) -> Qemu:
    version = re.search(r"version (\d+(?:\.\d+)*)", _output(program, "--version"))
    numbers = tuple(int(number) for number in version[1].split(".")) if version else (0,)
    return Qemu(program, numbers, "-plugin" in _output(program, "--help"))


def _output(*command: str) -> str:
    result = children.run(command, capture_output=True, timeout=30)
    return result.stdout
