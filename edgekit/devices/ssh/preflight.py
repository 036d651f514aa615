"""What a device is and what is there already, before anything is sent; what cannot work is refused here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.devices.payload.assembly import PYTHONS
from edgekit.devices.payload.part import Part
from edgekit.devices.transport import described
from edgekit.errors import DeviceError, EdgekitError
from edgekit.manifest import Manifest
from edgekit.runtime.machine import Machine, describe_machine
from edgekit.runtime.selection import needed_memory_bytes
from edgekit.target import load_target

#: Tried in this order: the system's own, unless a better one is there.
PROGRAMS = ("python3", *(f"python{version}" for version in reversed(PYTHONS)))

#: Beside what is sent: room for logs and for what Python compiles.
_SPARE_DISK_BYTES = 32 << 20
#: What a process with numpy and an engine takes before it holds a model (measured on x86_64: 45 to 60 MB).
_RUNTIME_MEMORY_BYTES = 48 << 20

#: Pointers by the class of ELF files: 1 for 32 bits, 2 for 64.
_POINTER_BYTES = {"1": 4, "2": 8}
_GLIBC = re.compile(r"(?:glibc|GLIBC|GNU libc)\D{0,100}(\d{1,3}\.\d{1,3})")
_MOST_PAGE_BYTES = 1 << 20
_MOST_TOOLS, _LINE_CHARACTERS = 50, 300


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
        free_disk_bytes: For this user, where edgekit's files go; None where that is not known.
        writable: Whether this user may write there.
    """

    machine: Machine
    system: str
    home: str
    python_path: str | None
    numpy: str | None
    free_disk_bytes: int | None
    writable: bool
    inventory: Inventory


def read_facts(text: str) -> Facts:
    """The device that the agent's ``facts`` describe. What it does not say, or nothing understands, is left out.

    Raises:
        DeviceError: ``EK-DEVICE``: it lacks programs that the agent needs, or does not even say what it is and where.
    """
    sections = described.sections(text)
    lacking = [tool for tool in map(described.word, sections.get("missing_tools", "").split()[:_MOST_TOOLS]) if tool]
    if lacking:
        hint = "install coreutils, util-linux, findutils, grep, tar and gzip there"
        raise DeviceError("EK-DEVICE", f"the device lacks {', '.join(lacking)}", hint)
    kernel, home = described.word(sections.get("kernel_architecture", "")), described.path(sections.get("home", ""))
    if kernel is None or home is None:
        raise DeviceError("EK-DEVICE", "the device's description of itself is unreadable")
    pythons = _pythons(sections.get("python", ""))
    usable = (python for python in pythons if python.version.rpartition(".")[0] in PYTHONS)
    best = next(usable, pythons[0] if pythons else None)
    glibc = _GLIBC.search(sections.get("glibc", "")[:_LINE_CHARACTERS])
    disk = sections.get("disk", "").split("\n")
    return Facts(
        machine=describe_machine(
            kernel_architecture=kernel,
            pointer_bytes=best.pointer_bytes if best else _POINTER_BYTES.get(sections.get("elf_class", ""), 8),
            model=sections.get("model", ""),
            cpuinfo=sections.get("cpuinfo", ""),
            meminfo=sections.get("meminfo", ""),
            os_release=sections.get("os_release", ""),
            python=best.version if best else None,
            glibc=glibc[1] if glibc else None,
            page_bytes=described.whole(sections.get("page_bytes", ""), _MOST_PAGE_BYTES) or 4096,
        ),
        system=described.word(sections.get("system", "")) or "",
        home=home,
        python_path=best.path if best else None,
        numpy=best.numpy if best else None,
        free_disk_bytes=described.free_bytes(disk[0]),
        writable="not writable" not in disk,
        inventory=read_inventory(text),
    )


def read_inventory(text: str) -> Inventory:
    """What the agent's ``inventory`` lists."""
    sections = described.sections(text)
    apps: dict[str, App] = {}
    for line in sections.get("apps", "").split("\n"):
        words = line.split("|")
        name = described.word(words[0])
        if len(words) == 4 and name is not None:
            releases = filter(None, map(described.word, words[3].split()))
            apps.setdefault(name, App(described.word(words[1]), described.word(words[2]), tuple(releases)))
    return Inventory(frozenset(filter(None, map(described.word, sections.get("parts", "").split()))), apps)


@dataclass(frozen=True)
class _Python:
    version: str
    pointer_bytes: int
    numpy: str | None
    path: str


def _pythons(text: str) -> list[_Python]:
    """Those that say of themselves what they are, in their order."""
    found = []
    for line in text.split("\n"):
        words = line.split("|", 3)
        if len(words) == 4 and re.fullmatch(r"\d{1,2}(\.\d{1,3}){2}", words[0]) and words[1] in ("4", "8"):
            path = described.path(words[3])
            if path is not None:
                found.append(_Python(words[0], int(words[1]), described.word(words[2]), path))
    return found


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
    if facts.free_disk_bytes is not None and facts.free_disk_bytes < needed:
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
