"""What a device is and what is there already, before anything is sent; what cannot work is refused here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.bundle import Manifest
from edgekit.devices.part import Part
from edgekit.devices.payload import PYTHONS
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.machine import Machine, describe_machine
from edgekit.runtime.selection import needed_memory_bytes
from edgekit.target import load_target

#: Tried in this order: the system's own, unless a better one is there.
PROGRAMS = ("python3", *(f"python{version}" for version in reversed(PYTHONS)))

#: Beside what is sent: room for logs and for what Python compiles.
_SPARE_DISK_BYTES = 32 << 20
#: What a process with numpy and an engine takes before it holds a model (measured on x86_64: 45 to 60 MB).
_RUNTIME_MEMORY_BYTES = 48 << 20


@dataclass(frozen=True)
class App:
    """What is deployed under one bundle's name: names of releases, or None."""

    current: str | None
    previous: str | None
    releases: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """What edgekit has put on a device: digests of parts, and apps by name."""

    parts: frozenset[str]
    apps: Mapping[str, App]


@dataclass(frozen=True)
class Facts:
    """A device, as a shell on it sees it.

    Attributes:
        system: ``Linux``, or what else ``uname`` says.
        home: The user's home directory.
        python_path: The Python that edgekit uses there, without links; None when there is none.
        numpy: Version of the numpy that Python has by itself, or None.
        free_disk_bytes: For this user, where edgekit's files go.
        writable: Whether this user may write there.
    """

    machine: Machine
    system: str
    home: str
    python_path: str | None
    numpy: str | None
    free_disk_bytes: int
    writable: bool
    inventory: Inventory


def read_facts(text: str) -> Facts:
    """The device that the agent's ``facts`` describe.

    Raises:
        DeviceError: ``EK-DEVICE``: it lacks programs that the agent needs, or describes itself in no known way.
    """
    sections = _sections(text)
    lacking = sections.get("missing_tools", "").split()
    if lacking:
        hint = "install coreutils, util-linux, findutils, grep, tar and gzip there"
        raise DeviceError("EK-DEVICE", f"the device lacks {', '.join(lacking)}", hint)
    try:
        pythons = [line.split("|", 3) for line in sections["python"].splitlines()]
        usable = (words for words in pythons if words[0].rpartition(".")[0] in PYTHONS)
        best = next(usable, pythons[0] if pythons else None)
        version, pointer_bytes, numpy, path = best or (None, None, None, None)
        if pointer_bytes is None:
            pointer_bytes = {"1": "4", "2": "8"}[sections["elf_class"]]
        glibc = re.search(r"(?:glibc|GLIBC|GNU libc)\D*(\d+\.\d+)", sections["glibc"])
        disk, *unwritable = sections["disk"].splitlines()
        return Facts(
            machine=describe_machine(
                kernel_architecture=sections["kernel_architecture"],
                pointer_bytes=int(pointer_bytes),
                model=sections["model"],
                cpuinfo=sections["cpuinfo"],
                meminfo=sections["meminfo"],
                os_release=sections["os_release"],
                python=version,
                glibc=glibc[1] if glibc else None,
                page_bytes=int(sections["page_bytes"] or 4096),
            ),
            system=sections["system"],
            home=sections["home"],
            python_path=path,
            numpy=numpy or None,
            free_disk_bytes=int(disk.split()[3]) * 1024,
            writable=not unwritable,
            inventory=read_inventory(text),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise DeviceError("EK-DEVICE", f"the device's description of itself is unreadable ({error!r})") from error


def read_inventory(text: str) -> Inventory:
    """What the agent's ``inventory`` lists."""
    sections = _sections(text)
    apps = {}
    for line in sections["apps"].splitlines():
        name, current, previous, releases = line.split("|")
        apps[name] = App(current or None, previous or None, tuple(releases.split()))
    return Inventory(frozenset(sections["parts"].split()), apps)


def refuse(device: str, facts: Facts, manifest: Manifest) -> None:
    """Refuse a device on which the bundle cannot work, as far as that shows before it is known what would be sent.

    Raises:
        DeviceError: ``EK-DEVICE``, with the first reason.
    """
    if facts.system != "Linux":
        raise DeviceError("EK-DEVICE", f"{device} runs {facts.system or 'an unknown system'}, not Linux")
    if not facts.writable:
        raise DeviceError("EK-DEVICE", f"{device}: {facts.home} cannot be written", "connect as another user")
    needed = min(needed_memory_bytes(manifest, entry) for entry in manifest.variants) + _RUNTIME_MEMORY_BYTES
    free_bytes = facts.machine.free_memory_bytes
    if free_bytes is not None and free_bytes < needed:
        free = f"{free_bytes >> 20} MiB of memory free, {needed >> 20} MiB are needed"
        raise DeviceError("EK-DEVICE", f"{device} has {free}", "stop other programs there")


def check_space(device: str, facts: Facts, parts: Sequence[Part], release_bytes: int) -> None:
    """Refuse a device whose disk cannot hold what is to be sent, packed and unpacked.

    Args:
        parts: Those that are not there yet.
        release_bytes: Of the release, unpacked.

    Raises:
        DeviceError: ``EK-DEVICE``.
    """
    # One archive lies there at a time, beside everything that is unpacked.
    largest = max((part.size_bytes for part in parts), default=0)
    needed = sum(part.unpacked_bytes for part in parts) + max(largest, release_bytes) + release_bytes
    needed += _SPARE_DISK_BYTES if needed else 0
    if facts.free_disk_bytes < needed:
        free = f"{facts.free_disk_bytes / 1e6:.0f} MB of disk free, {needed / 1e6:.0f} MB are needed"
        raise DeviceError("EK-DEVICE", f"{device} has {free}", "free some space there; nothing was sent")


def warnings(facts: Facts, manifest: Manifest) -> list[str]:
    """What is odd, but may work: one line each."""
    try:
        target = load_target(manifest.target)
    except EdgekitError:  # a target file of the user's own, which is not here
        return []
    machine = facts.machine
    if target.cpu.architecture == machine.architecture and not target.boards:
        return []
    if target.is_machine(machine.board, machine.architecture):
        return []
    this = machine.board or f"{machine.os} on {machine.architecture}"
    return [f"the bundle was built for {target.title}, this is {this}"]


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^== (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
