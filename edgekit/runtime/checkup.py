"""What a machine is, what it can build and run, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgekit.runtime import engines, native, packages
from edgekit.runtime import machine as machines
from edgekit.runtime.engines.base import version_numbers
from edgekit.runtime.machine import Machine, free_disk_bytes
from edgekit.target import Target, load_target, target_names


def examine(name: str | None = None) -> dict[str, Any]:
    """Everything that is known of this machine, and of building here for the target called *name*.

    Raises:
        UsageError: ``EK-TARGET``: there is no such target.
    """
    wanted = None if name is None else load_target(name)
    machine = machines.read_machine()
    found = packages.installed_packages()
    versions = engines.available()
    return {
        "advice": _advice(machine),
        "machine": machine.to_json(),
        "matches_target": matching_target(machine),
        "can_build": _can_build(machine),
        "free_disk_bytes": free_disk_bytes(Path.cwd()),
        "packages": [
            {
                "package": entry.package.name,
                "version": entry.version,
                "status": entry.status,
                "proven": _bounds(entry.package.least, entry.package.below),
                "extra": entry.package.extra,
                "purpose": entry.package.purpose,
            }
            for entry in found
        ],
        "engines": [
            {
                "engine": engine,
                "version": versions.get(engine),
                "formats": list(engines.engine(engine).formats),
                "install_hint": engines.engine(engine).install_hint,
            }
            for engine in engines.ENGINES.names()
        ],
        "executorch_core": {
            "library": None if (library := native.library()) is None else str(library),
            "why_not": native.why_not(),
        },
        "target": None if wanted is None else _outlook(wanted, machine),
    }


def matching_target(machine: Machine) -> str | None:
    """The name of the target that describes *machine*."""
    for name in target_names():
        if load_target(name).is_machine(machine.board, machine.architecture):
            return name
    return None


def machine_lines(machine: dict[str, Any], target: str | None) -> list[str]:
    """What *machine* is, as its `Machine.to_json` says, and the target that describes it."""
    memory = "memory unknown" if machine["memory_bytes"] is None else f"{machine['memory_bytes'] >> 20} MiB memory"
    matches = f", target {target}" if target else ""
    return [
        f"machine   {machine['board'] or machine['os']}{matches}",
        f"          {machine['architecture']}, {machine['cores']} x {machine['cpu'] or 'unknown processor'}, {memory}",
        f"features  {', '.join(machine['features']) or 'none that edgekit relies on'}",
        f"python    {machine['python'] or 'none'}, glibc {machine['glibc'] or 'none'}",
    ]


def _can_build(machine: Machine) -> bool:
    """No converter has a wheel for Linux on anything but x86_64."""
    return sys.platform != "linux" or machine.architecture == "x86_64"


def _advice(machine: Machine) -> list[str]:
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
        return [f"no engine has a package for {machine.architecture}: nothing can be built or run here"]
    if machine.glibc is not None and version_numbers(machine.glibc) < version_numbers(systems[0].glibc):
        lines.append(
            f"glibc {machine.glibc} is too old for LiteRT, which needs {systems[0].glibc}: pip installs it, and it "
            "fails when it is imported. Raspberry Pi OS 12 (Bookworm) and newer have it"
        )
    if machine.python is not None and ".".join(machine.python.split(".")[:2]) not in systems[0].python:
        known = ", ".join(systems[0].python)
        lines.append(f"Python {machine.python} has no packages of the engines; Python {known} has them")
    return lines


def _outlook(target: Target, machine: Machine) -> dict[str, Any]:
    """What building for *target* means here: per format, what is built and which engine can check it."""
    formats = []
    for entry in target.formats:
        here = engines.available(entry.format) if entry.runs_on_host else {}
        formats.append(
            {
                "format": entry.format,
                "backend": entry.backend,
                "built": list(entry.recipes),
                "engines": list(entry.engines),
                "checked_here_by": list(here),
                "runs_on_host": entry.runs_on_host,
            }
        )
    return {
        "name": target.name,
        "title": target.title,
        "formats": formats,
        "is_this_machine": target.is_machine(machine.board, machine.architecture),
    }


def _bounds(least: str, below: str | None) -> str:
    return f">={least}" + (f",<{below}" if below else "")
