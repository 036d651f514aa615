"""What devices of a target may be sent, made ready while there is a network, to deploy later where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.devices.payload import runner_pack
from edgekit.devices.payload.assembly import parts_for, sent_formats
from edgekit.devices.payload.part import Part
from edgekit.errors import UsageError
from edgekit.runtime.machine import Machine
from edgekit.target import Target

#: Of the numpy that a 32-bit board has by itself (Raspberry Pi OS 12).
_SYSTEM_NUMPY = "1.24.2"


@dataclass(frozen=True)
class Prefetched:
    """The parts for devices with one Python; None stands for devices without."""

    python: str | None
    parts: tuple[Part, ...]


def prefetch(target: Target, log: Callable[[str], None]) -> tuple[Prefetched, ...]:
    """Fetch and pack whatever a device of *target* may need, for each Python it may have.

    Args:
        log: Called with one line for each slow step.

    Raises:
        UsageError: ``EK-TARGET``: nothing is deployed to such devices.
        EdgekitError: ``EK-MISSING-PACKAGE``, ``EK-ENGINE``: as `edgekit.devices.payload.assembly.parts`.
    """
    formats = [format for format in sent_formats() if target.support(format) is not None]
    if target.system is None or not formats:
        raise UsageError("EK-TARGET", f"edgekit deploys nothing to {target.title}", "boards and desktops only")
    pythons: list[str | None] = [*target.system.python]
    if any(runner_pack.why_not(format, target.cpu.architecture) is None for format in formats):
        pythons.append(None)
    return tuple(
        Prefetched(python, parts_for(_machine(target, python), formats, system_numpy=_SYSTEM_NUMPY, log=log))
        for python in pythons
    )


def _machine(target: Target, python: str | None) -> Machine:
    """A device of *target*, as far as it decides what is sent."""
    return Machine(
        board=None,
        architecture=target.cpu.architecture,
        kernel_architecture=target.cpu.architecture,
        cpu=target.cpu.core,
        cores=target.cpu.cores or 1,
        features=target.cpu.features,
        memory_bytes=target.memory_bytes,
        os=target.title,
        python=python,
        glibc=target.system.glibc if target.system else None,
        page_bytes=4096,
    )
