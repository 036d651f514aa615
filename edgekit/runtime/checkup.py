"""What a machine is, what it can build and run, and what is missing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from edgekit.runtime import engines, native, packages
from edgekit.runtime import machine as machines
from edgekit.runtime.engines.base import version_numbers
from edgekit.runtime.machine import Machine, free_disk_bytes
from edgekit.target import Target, load_target, target_names


@dataclass(frozen=True)
class PackageFinding:
    """A package, and what edgekit uses it for. *status* is one of ``ok``, ``unproven`` (another version than was tried,
    *proven*) and ``missing``; *extra* is the one of edgekit that brings it."""

    package: str
    version: str | None
    status: str
    proven: str
    extra: str | None
    purpose: str


@dataclass(frozen=True)
class EngineFinding:
    """An engine; *version* is None where it is not installed."""

    engine: str
    version: str | None
    formats: tuple[str, ...]
    install_hint: str


@dataclass(frozen=True)
class CoreFinding:
    """ExecuTorch's core, which runs ``.pte`` files without torch: its file, once it was built, or why there is none."""

    library: str | None
    why_not: str | None


@dataclass(frozen=True)
class FormatOutlook:
    """What a target takes of a format: the recipes that are built unasked, the engines that run it there, and those
    that check it here."""

    format: str
    backend: str
    built: tuple[str, ...]
    engines: tuple[str, ...]
    checked_here_by: tuple[str, ...]
    runs_on_host: bool


@dataclass(frozen=True)
class Outlook:
    """What building for a target means on this machine."""

    name: str
    title: str
    formats: tuple[FormatOutlook, ...]
    is_this_machine: bool


@dataclass(frozen=True)
class Findings:
    """Everything that is known of this machine.

    Attributes:
        advice: What somebody on it has to know before anything else.
        matches_target: Name of the target that describes it.
        can_build: Whether there are converters for it.
        target: The target that was asked about.
    """

    advice: tuple[str, ...]
    machine: Machine
    matches_target: str | None
    can_build: bool
    free_disk_bytes: int
    packages: tuple[PackageFinding, ...]
    engines: tuple[EngineFinding, ...]
    executorch_core: CoreFinding
    target: Outlook | None


def examine(name: str | None = None) -> Findings:
    """Everything that is known of this machine, and of building here for the target called *name*.

    Raises:
        UsageError: ``EK-TARGET``: there is no such target.
    """
    wanted = None if name is None else load_target(name)
    machine = machines.read_machine()
    versions = engines.available()
    library = native.library()
    return Findings(
        advice=_advice(machine),
        machine=machine,
        matches_target=matching_target(machine),
        can_build=_can_build(machine),
        free_disk_bytes=free_disk_bytes(Path.cwd()),
        packages=tuple(
            PackageFinding(
                entry.package.name,
                entry.version,
                entry.status,
                entry.package.bounds,
                entry.package.extra,
                entry.package.purpose,
            )
            for entry in packages.installed_packages()
        ),
        engines=tuple(
            EngineFinding(engine.name, versions.get(engine.name), tuple(engine.formats), engine.install_hint)
            for engine in engines.ENGINES
        ),
        executorch_core=CoreFinding(None if library is None else str(library), native.why_not()),
        target=None if wanted is None else _outlook(wanted, machine),
    )


def matching_target(machine: Machine) -> str | None:
    """The name of the target that describes *machine*."""
    for name in target_names():
        if load_target(name).is_machine(machine.board, machine.architecture):
            return name
    return None


def machine_lines(machine: Machine, target: str | None) -> list[str]:
    """What *machine* is, and the target that describes it."""
    memory = "memory unknown" if machine.memory_bytes is None else f"{machine.memory_bytes >> 20} MiB memory"
    matches = f", target {target}" if target else ""
    return [
        f"machine   {machine.board or machine.os}{matches}",
        f"          {machine.architecture}, {machine.cores} x {machine.cpu or 'unknown processor'}, {memory}",
        f"features  {', '.join(machine.features) or 'none that edgekit relies on'}",
        f"python    {machine.python or 'none'}, glibc {machine.glibc or 'none'}",
    ]


def _can_build(machine: Machine) -> bool:
    """No converter has a wheel for Linux on anything but x86_64."""
    return sys.platform != "linux" or machine.architecture == "x86_64"


def _advice(machine: Machine) -> tuple[str, ...]:
    """What somebody on this machine has to know before anything else."""
    lines = []
    if not _can_build(machine):
        lines.append(
            f"build on a desktop (x86_64 Linux), run here: no converter exists for {machine.architecture}. "
            "Copy the bundle here; edgekit run and edgekit.load work on this machine"
        )
    if machine.architecture == "armv7l":
        kernel = " under a 64-bit kernel" if machine.kernel_architecture == "aarch64" else ""
        lines.append(
            f"this is a 32-bit system{kernel}: only tflite-runtime runs here, with Python 3.11 and numpy below 2. "
            "A 64-bit system, which a Raspberry Pi 3 and later can run, takes every engine"
        )
    targets = [load_target(name) for name in target_names()]
    systems = [target.system for target in targets if target.cpu.architecture == machine.architecture and target.system]
    if not systems:
        return (f"no engine has a package for {machine.architecture}: nothing can be built or run here",)
    if machine.glibc is not None and version_numbers(machine.glibc) < version_numbers(systems[0].glibc):
        lines.append(
            f"glibc {machine.glibc} is too old for LiteRT, which needs {systems[0].glibc}: pip installs it, and it "
            "fails when it is imported. Raspberry Pi OS 12 (Bookworm) and newer have it"
        )
    if machine.python is not None and ".".join(machine.python.split(".")[:2]) not in systems[0].python:
        known = ", ".join(systems[0].python)
        lines.append(f"Python {machine.python} has no packages of the engines; Python {known} has them")
    return tuple(lines)


def _outlook(target: Target, machine: Machine) -> Outlook:
    formats = []
    for entry in (*target.formats, *target.on_request()):
        here = engines.available(entry.format) if entry.runs_on_host else {}
        formats.append(
            FormatOutlook(entry.format, entry.backend, entry.recipes, entry.engines, tuple(here), entry.runs_on_host)
        )
    is_here = target.is_machine(machine.board, machine.architecture)
    return Outlook(target.name, target.title, tuple(formats), is_here)
