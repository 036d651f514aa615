"""Emulated boards: the real aarch64 engines on this machine, under qemu user emulation."""

from __future__ import annotations

from edgekit.devices.emulator import guest
from edgekit.devices.emulator.device import EmulatedDevice
from edgekit.devices.emulator.guest import System
from edgekit.errors import UsageError
from edgekit.target import Target, load_target, target_names

__all__ = ["EmulatedDevice", "names", "open", "system_of", "target_of"]


def open(name: str) -> EmulatedDevice:
    """The device called *name*: ``emulator:`` and a target's name, or the path of a target file.

    Raises:
        UsageError: ``EK-ARGUMENT``, ``EK-TARGET``: there is no such target, or it cannot be emulated.
    """
    return EmulatedDevice(name, target_of(name))


def target_of(name: str) -> Target:
    """The target of the emulated board called *name*; raises as `open`."""
    wanted = name.partition(":")[2]
    if not wanted:
        raise UsageError("EK-ARGUMENT", f"{name!r} names no board", f"known: {', '.join(names())}")
    target = load_target(wanted)
    if target.kind != "board" or target.cpu.architecture not in guest.SYSTEMS:
        raise UsageError("EK-TARGET", f"{target.title} is not emulated", f"emulated boards: {', '.join(names())}")
    return target


def system_of(name: str) -> System:
    """The system that the emulated board called *name* has: ``emulator`` alone stands for the 64-bit boards."""
    return guest.SYSTEMS["aarch64" if name == "emulator" else target_of(name).cpu.architecture]


def names() -> tuple[str, ...]:
    """Every emulated board that edgekit ships a target for, as in ``emulator:rpi4``."""
    targets = [load_target(name) for name in target_names()]
    boards = [target for target in targets if target.kind == "board" and target.cpu.architecture in guest.SYSTEMS]
    return tuple(f"emulator:{target.name}" for target in boards)
