"""Whether this machine can emulate a board, and what to install where it cannot."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edgekit.devices.base import Checkup
from edgekit.devices.emulator import counter, guest, qemu
from edgekit.devices.emulator.guest import System
from edgekit.devices.payload import debian
from edgekit.runtime import native
from edgekit.runtime.native import compilers


@dataclass(frozen=True)
class Item:
    """One thing that emulated boards need.

    Attributes:
        ok: Whether it is here.
        found: What is here, or why it will not do.
        packages: Debian's, to install with apt where it is not.
        optional: Verifying works without it.
    """

    name: str
    ok: bool
    found: str
    packages: tuple[str, ...] = ()
    optional: bool = False


def examine(device: str, system: System, setup: str) -> Checkup:
    """Whether *device*, an emulated board with *system*, can be had.

    Args:
        setup: What ``edgekit doctor --setup`` calls the system.
    """
    found = items(system)
    todo = steps(found, setup)
    width = max(len(device), *(len(item.name) for item in found))
    return Checkup(
        {
            "device": device,
            "ready": all(item.ok or item.optional for item in found),
            "items": [asdict(item) for item in found],
            "steps": list(todo),
        },
        (
            device,
            *(f"{item.name:<{width}}  {'ok' if item.ok else 'missing':<7}  {item.found}" for item in found),
            *(f"to do: {step}" for step in todo),
        ),
    )


def items(system: System) -> tuple[Item, ...]:
    """What emulating boards with *system* takes, in the order in which to get it."""
    ready = guest.is_ready(system)
    found = [_qemu(system)]
    if not ready:
        found += [_fetching(), _core(system)]
    what = "ready" if ready else "not set up"
    return (*found, Item("system", ready, f"{system.name}, Python {system.python}: {what}"), _counting(system))


def steps(items: tuple[Item, ...], setup: str) -> tuple[str, ...]:
    """Commands that bring what is missing, the optional too.

    Args:
        setup: What ``edgekit doctor --setup`` calls the system.
    """
    packages = [package for item in items if not item.ok for package in item.packages]
    install = [f"sudo apt-get install {' '.join(dict.fromkeys(packages))}"] if packages else []
    missing = any(not (item.ok or item.optional) for item in items)
    return (*install, *([f"edgekit doctor --setup {setup}"] if missing else []))


def _qemu(system: System) -> Item:
    found = qemu.installed(system.architecture)
    if found is None:
        return Item("qemu", False, "not installed", ("qemu-user",))
    shown = f"{found.shown_version}, {found.program}"
    if found.version < qemu.MINIMUM:
        return Item("qemu", False, f"{shown}: too old, {'.'.join(map(str, qemu.MINIMUM))} is needed", ("qemu-user",))
    return Item("qemu", True, shown)


def _fetching() -> Item:
    missing = debian.missing_tools()
    return Item("Debian packages", not missing, "cannot be fetched" if missing else "can be fetched", missing)


def _core(system: System) -> Item:
    architecture = system.architecture
    if native.prebuilt(architecture) or native.built(architecture, native.LIBRARY):
        return Item("ExecuTorch core", True, f"built for {architecture}")
    if compilers.find(architecture) is not None:
        return Item("ExecuTorch core", True, f"will be built for {architecture}")
    return Item("ExecuTorch core", False, f"no compiler for {architecture}", (compilers.package(architecture),))


def _counting(system: System) -> Item:
    found = qemu.installed(system.architecture)
    if found is None:
        return Item("counting", False, "needs qemu", ("qemu-user", *counter.missing_packages()), optional=True)
    why = counter.why_not(found)
    if why is not None:
        return Item("counting", False, why[0], counter.missing_packages(), optional=True)
    return Item("counting", True, "instructions can be counted", optional=True)
