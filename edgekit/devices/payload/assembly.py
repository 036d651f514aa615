"""What a device is sent, so that it needs no Internet: Python packages, ExecuTorch's libraries, edgekit's own half."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgekit
from edgekit.devices.payload import core, runner_pack, wheels
from edgekit.devices.payload.part import Entry, Part, make_part
from edgekit.devices.payload.wheels import Wheel
from edgekit.digests import sha256
from edgekit.display import Log
from edgekit.engines import ENGINES
from edgekit.errors import DeviceError, UsageError
from edgekit.manifest import Manifest
from edgekit.runtime.machine import Machine
from edgekit.target import Target, target_directory

#: What no device needs of any wheel. Licences stay, wherever they are.
_NEVER = re.compile(r"__pycache__/|\.(pyi|pxd|h|a)$|\.dist-info/(RECORD|entry_points\.txt|top_level\.txt)$")
_LICENCE = re.compile(r"licen[cs]e|copying|notice", re.IGNORECASE)

#: edgekit's own files on a device: ground floor, runtime, devices without the ways to them, command line, targets.
OWN_FILES = (
    "*.py",
    "*.toml",
    "runtime/**/*.py",
    "runtime/**/*.txt",
    "runtime/contents/**/*.schema",
    "devices/*.py",
    "cli/*.py",
)
#: The Pythons that edgekit and its engines run on there.
PYTHONS = ("3.11", "3.12", "3.13")
#: Of the numpy that a 32-bit board has by itself (Raspberry Pi OS 12).
_SYSTEM_NUMPY = "1.24.2"
#: numpy from which on tflite-runtime fails at the first model (measured with 2.14.0).
_NUMPY_TOO_NEW = 2


def sent_formats() -> tuple[str, ...]:
    """File formats for which an engine is sent."""
    return tuple(dict.fromkeys(format for engine in ENGINES if engine.package for format in engine.formats))


def formats_of(manifest: Manifest) -> tuple[str, ...]:
    """The formats of the files in a bundle that something but an app can run.

    Raises:
        DeviceError: ``EK-DEVICE``: there are none.
    """
    formats = tuple(dict.fromkeys(variant.format for variant in manifest.variants if variant.runs))
    if not formats:
        hint = "edgekit integrate BUNDLE --for PLATFORM  starts one"
        raise DeviceError("EK-DEVICE", "the bundle's files are for apps only: exported, not run", hint)
    return formats


def parts_for(
    machine: Machine, formats: Collection[str], *, system_numpy: str | None = None, log: Log, download: bool = True
) -> tuple[Part, ...]:
    """Everything *machine* needs to run files of *formats* (``tflite``, ``pte``), in the order of ``PYTHONPATH``.

    A device with no Python that edgekit runs on gets one part, the self-contained runner.

    Args:
        system_numpy: Version of the numpy that the device's own Python has, or None. Only a 32-bit board uses it:
            there is no numpy wheel for those.
        log: Called for each slow step, and for each format that cannot run there.
        download: False never asks the network for what is not on this machine yet.

    Raises:
        DeviceError: ``EK-DEVICE``: nothing of it can run there; the message says what the device lacks.
        EdgekitError: ``EK-MISSING-PACKAGE``: this machine lacks what it would send, or the tools to make it.
    """
    if why_no_python(machine) is not None:
        log(f"the device has {why_no_python(machine)}: it gets a runner of its own")
        pages = machine.page_bytes
        return (runner_pack.runner_part(machine.architecture, formats, log, page_bytes=pages, download=download),)
    wanted = [_find("click", machine)]
    if machine.architecture == "armv7l":
        _check_system_numpy(system_numpy)
    else:
        wanted.append(_find("numpy", machine))
    engines = _engines(formats, machine, log)
    own = [own_part()]  # before the downloads, which take time
    traced = {engine.package for engine in ENGINES if engine.in_runner} - {core.PACKAGE}  # which has a tracer itself
    if not traced.isdisjoint(wheel.package for wheel in engines):
        own += filter(None, [core.runner_part(machine.architecture, log)])
    return (*own, *(package_part(wheel, log, download=download) for wheel in (*wanted, *engines)))


def why_not(format: str, machine: Machine, system_numpy: str | None = None) -> str | None:
    """Why files of *format* cannot run on *machine* with what it would be sent, in one line; None when they can."""
    lacking = why_no_python(machine)
    if lacking is not None:
        no_runner = runner_pack.why_not(format, machine.architecture)
        return f"the device has {lacking}, and {no_runner}" if no_runner else None
    try:
        _engine(format, machine)
        if machine.architecture == "armv7l":
            _check_system_numpy(system_numpy)
    except DeviceError as error:
        return error.message
    return None


def outlook(formats: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """What `why_not` says of each of *formats*, for programs."""
    return [{"format": format, "runs": reason is None, "reason": reason} for format, reason in formats.items()]


def outlook_lines(formats: Mapping[str, str | None]) -> list[str]:
    """The same for people."""
    return [f".{format:<8} {'runs there' if reason is None else reason}" for format, reason in formats.items()]


def why_no_python(machine: Machine) -> str | None:
    """What speaks against edgekit's Python side on *machine*, as in ``no Python``; None when nothing does."""
    if machine.python is None:
        return "no Python"
    if ".".join(machine.python.split(".")[:2]) not in PYTHONS:
        return f"Python {machine.python}"
    return None if machine.glibc else "no glibc"


def own_part() -> Part:
    """edgekit's device side: what loads and runs a bundle, and none of what builds one."""
    package = Path(edgekit.__file__).parent
    files = {path.relative_to(package): path for pattern in OWN_FILES for path in package.glob(pattern)}
    files |= {Path("targets", path.name): path for path in target_directory().glob("*.toml")}
    entries = [Entry(Path("edgekit", name).as_posix(), path.read_bytes()) for name, path in sorted(files.items())]
    entries.append(Entry("LICENSE", (core.NOTICES / "apache-2.0.txt").read_bytes()))
    key = sha256(b"".join(entry.path.encode() + sha256(entry.data).encode() for entry in entries))
    return make_part(f"edgekit-{edgekit.__version__}", key, lambda: entries, python_paths=("",))


def package_part(wheel: Wheel, log: Log, *, download: bool = True) -> Part:
    """The part that holds *wheel*, without what a device never needs.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: as `parts_for`.
    """
    if wheel.package == core.PACKAGE:
        return core.core_part(str(wheel.architecture), log, download=download)
    path = wheels.obtain(wheel, log, download=download)
    key = f"{wheel.sha256} {_NEVER.pattern} {wheel.unused}"
    return make_part(
        f"{wheel.package}-{wheel.version}", key, lambda: _entries(path, wheel), log=log, python_paths=("",)
    )


@dataclass(frozen=True)
class Prefetched:
    """The parts for devices with one Python; None stands for devices without."""

    python: str | None
    parts: tuple[Part, ...]


def prefetch(target: Target, log: Log) -> tuple[Prefetched, ...]:
    """Fetch and pack whatever a device of *target* may need, for each Python it may have.

    Raises:
        UsageError: ``EK-TARGET``: nothing is deployed to such devices.
        EdgekitError: ``EK-MISSING-PACKAGE``, ``EK-ENGINE``: as `parts_for`.
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


def _engines(formats: Iterable[str], machine: Machine, log: Log) -> list[Wheel]:
    """The wheel of the engine for each format that can run on *machine*."""
    found: list[Wheel] = []
    refused: list[DeviceError] = []
    for format in formats:
        try:
            found.append(_engine(format, machine))
        except DeviceError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    for refusal in refused:
        log(f"not everything in the bundle will run there: {refusal.message}")
    return found


def _engine(format: str, machine: Machine) -> Wheel:
    engines = [engine for engine in ENGINES if format in engine.formats]
    sent = [engine for engine in engines if engine.package]
    if sent:
        built = (one for one in sent if machine.architecture in (platform.architecture for platform in one.platforms))
        return _find(next(built, sent[0]).package, machine)
    lacking = engines[0].not_sent if engines else "this edgekit has none"
    hint = f"build {' or '.join(f'.{each}' for each in sent_formats())}"
    raise DeviceError("EK-DEVICE", f"no engine for .{format} files is sent to devices: {lacking}", hint)


def _find(package: str, machine: Machine) -> Wheel:
    return wheels.find(wheels.requirement(package), machine.python or "", machine.architecture, machine.glibc or "")


def _check_system_numpy(version: str | None) -> None:
    hint = "on the device: sudo apt install python3-numpy  (a 64-bit system needs nothing)"
    if version is None:
        raise DeviceError("EK-DEVICE", "the device has no numpy, and there is no package of it for 32 bits", hint)
    if int(version.split(".")[0]) >= _NUMPY_TOO_NEW:
        reason = f"the device has numpy {version}, with which tflite-runtime fails"
        raise DeviceError("EK-DEVICE", reason, "it needs numpy 1, as Raspberry Pi OS 12 has, or a 64-bit system")


def _entries(path: Path, wheel: Wheel) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            drop = _NEVER.search(info.filename) or (wheel.unused and re.search(wheel.unused, info.filename))
            if not info.is_dir() and (not drop or _LICENCE.search(info.filename)):
                yield Entry(info.filename, archive.read(info))
    if wheel.licence:
        folder = f"{wheel.package.replace('-', '_')}-{wheel.version}.dist-info"
        yield Entry(f"{folder}/LICENSE.{wheel.licence}", (core.NOTICES / f"{wheel.licence}.txt").read_bytes())


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
