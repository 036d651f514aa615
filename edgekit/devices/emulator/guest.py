"""The system of an emulated board: Debian's Python for its architecture, and the parts that a real board is sent.

Everything lies in ``$EDGEKIT_HOME/emulator``; `set_up` makes it. A marker file, written last, says that it is
complete.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.devices.emulator import board, qemu
from edgekit.devices.payload import assembly, debian, wheels
from edgekit.devices.payload.part import Part, environment
from edgekit.display import Log
from edgekit.engines import ENGINES
from edgekit.errors import DeviceError, UsageError
from edgekit.private import alone, home, is_sealed, making, private_folder, seal, unseal
from edgekit.runtime import children
from edgekit.runtime.machine import Machine, describe_machine
from edgekit.target import Target, load_target, target_names
from edgekit.writing import replacing


@dataclass(frozen=True)
class System:
    """What is installed for guests of one architecture.

    Attributes:
        target: The least of its boards.
        packages: Debian's; all that they depend on comes along.
        python, glibc: Versions in that release of Debian.
    """

    architecture: str
    target: str
    packages: tuple[str, ...]
    python: str
    glibc: str

    @property
    def engines(self) -> tuple[str, ...]:
        """Each engine there: those that such a device can be sent."""
        return tuple(
            engine.name for engine in ENGINES if engine.package and wheels.has(engine.package, self.architecture)
        )

    @property
    def wheels(self) -> tuple[str, ...]:
        """What such a device is sent, beside edgekit itself."""
        return ("click", "numpy", *dict.fromkeys(ENGINES[name].package for name in self.engines))

    @property
    def name(self) -> str:
        return f"Debian 12 ({debian.SUITE}) for {self.architecture}"


SYSTEMS = {
    system.architecture: system
    for system in (
        System(
            "aarch64",
            "linux-arm64",
            ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6"),
            "3.11.2",
            "2.36",
        ),
    )
}


def target_of(name: str) -> Target:
    """The target of the emulated board called *name*: ``emulator`` alone stands for the 64-bit boards.

    Raises:
        UsageError: As `edgekit.devices.emulator.device.open_board`.
    """
    wanted = SYSTEMS["aarch64"].target if name == "emulator" else name.partition(":")[2]
    if not wanted:
        raise UsageError("EK-ARGUMENT", f"{name!r} names no board", f"known: {', '.join(names())}")
    target = load_target(wanted)
    if target.kind != "board" or target.cpu.architecture not in SYSTEMS:
        raise UsageError("EK-TARGET", f"{target.title} is not emulated", f"emulated boards: {', '.join(names())}")
    return target


def system_of(name: str) -> System:
    """The system that the emulated board called *name* has."""
    return SYSTEMS[target_of(name).cpu.architecture]


def names() -> tuple[str, ...]:
    """Every emulated board that edgekit ships a target for, as in ``emulator:rpi4``."""
    targets = [load_target(name) for name in target_names()]
    boards = [target for target in targets if target.kind == "board" and target.cpu.architecture in SYSTEMS]
    return tuple(f"emulator:{target.name}" for target in boards)


#: Prints the engines that work, as JSON, and leaves compiled modules for the runs that follow.
_PROOF = """\
import json, sys
import edgekit.runtime.remote_child
from edgekit.runtime import engines
for name in sys.argv[1:]:
    engines.engine(name).import_library()
print(json.dumps(engines.available()))
"""

#: Where a board has its parts. No path of the host's is seen there: its length would shift what instructions count.
_PARTS = "/opt/edgekit"


class Guest:
    """What one board's programs see: below a directory, which qemu shows them as ``/``, and in their environment.

    Only a first process can be started: what it starts in turn would run on the host.
    """

    def __init__(
        self, system: System, parts: Sequence[Part], target: Target, root: Path, core: board.Core | None = None
    ):
        """Lay out the board of *target* in the empty directory *root*.

        Args:
            parts: As `unpack` returned them.
            core: Instead of the target's, in the files that describe it.
        """
        self.machine = _machine(system, target, core)
        self._root = root
        self._program = _directory(system) / "usr/bin/python3.11"
        # Nothing of the host's environment: OpenBLAS, for one, believes a core name it finds there.
        self._variables = {
            **environment(parts, lambda part: f"{_PARTS}/{part.digest[:16]}"),
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",  # new files would appear on the host, at the paths that the guest sees
            "PYTHONPYCACHEPREFIX": f"{_PARTS}/compiled",
        }
        for entry in _directory(system).iterdir():
            (root / entry.name).symlink_to(entry)
        inside = root / _PARTS.lstrip("/")
        inside.mkdir(parents=True)
        for part in parts:
            (inside / part.digest[:16]).symlink_to(_folder(part))
        private_folder(_compiled())
        (inside / "compiled").symlink_to(_compiled())
        board.write(target, root, core)

    def command(self, emulator: Sequence[str], *arguments: str, **variables: str) -> list[str]:
        """The command line that runs the guest's Python with *arguments*, by qemu's program and options *emulator*.

        Args:
            variables: Of the environment, instead of the usual ones.
        """
        given = [f"{name}={value}" for name, value in {**self._variables, **variables}.items()]
        name = f"/{self._program.relative_to(self._program.parents[2])}"
        shown = ["-L", str(self._root), "-0", name, str(self._program)]
        return ["env", "-i", *given, *emulator, *shown, "-s", *children.ANYWHERE, *arguments]


def engines(system: System) -> dict[str, str]:
    """The engines in *system*, with their versions. Raises `DeviceError` ``EK-DEVICE``: it was not set up."""
    facts = _facts(system)
    if facts is None:
        hint = "edgekit doctor --setup emulator  makes it"
        raise DeviceError("EK-DEVICE", "the system of emulated boards is not set up", hint)
    found: dict[str, str] = facts["engines"]
    return found


def is_ready(system: System) -> bool:
    """Whether `set_up` has made *system* to the end, as this edgekit wants it."""
    return _facts(system) is not None


def set_up(system: System, log: Log) -> None:
    """Fetch and unpack *system*, and prove that its engines load under emulation. What is there is kept.

    Raises:
        DeviceError: ``EK-MISSING-PACKAGE``: qemu, apt or Debian's keys are not on this machine; ``EK-DEVICE``: apt
            failed, or an engine does not load.
        EdgekitError: ``EK-MISSING-PACKAGE``: a wheel or a compiler is missing.
    """
    qemu.require(system.architecture)
    parts = _parts(system, log, download=True)
    with alone(home() / "emulator"):
        if not is_sealed(_directory(system)):
            debian.unpack(system.packages, system.architecture, _directory(system), log)
        _renew(system, parts, log)


def unpack(system: System, log: Log) -> tuple[Part, ...]:
    """The parts of *system*, all unpacked: edgekit itself may be another one since `set_up`. Needs no network."""
    parts = _parts(system, log, download=False)
    with alone(home() / "emulator"):
        facts = _facts(system)
        known = facts is not None and facts["parts"] == [part.digest for part in parts]
        if not (known and all(map(is_sealed, (_compiled(), *map(_folder, parts))))):
            _renew(system, parts, log)
    return parts


def _renew(system: System, parts: Sequence[Part], log: Log) -> None:
    """Unpack those of *parts* that are not there, prove that the engines load, and note it."""
    for part in parts:
        if not is_sealed(_folder(part)):
            log(f"unpacking {part.name}")
            _unpack(part, _folder(part))
    log("starting the engines under emulation")
    unseal(_compiled())
    found = _prove(system, parts)
    seal(_compiled())
    facts = {**_recipe(system), "parts": [part.digest for part in parts], "engines": found}
    with replacing(_marker(system)) as temporary:
        temporary.write_text(json.dumps(facts), encoding="utf-8")


def _prove(system: System, parts: Sequence[Part]) -> dict[str, str]:
    """The engines that load under emulation, which have to be all of *system*'s, with their versions."""
    target = load_target(system.target)
    with tempfile.TemporaryDirectory(prefix="edgekit-board-") as folder:
        guest = Guest(system, parts, target, Path(folder))
        emulator = [qemu.require(system.architecture).program, "-cpu", board.core_of(target).name]
        writing = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(_compiled())}
        command = guest.command(emulator, "-c", _PROOF, *system.engines, **writing)
        result = children.run(command, capture_output=True)
    found: dict[str, str] = json.loads(result.stdout.splitlines()[-1]) if result.returncode == 0 else {}
    lacking = [name for name in system.engines if name not in found]
    if lacking:
        reason = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
        raise DeviceError("EK-DEVICE", f"{lacking[0]} does not load under emulation: {reason[:300]}")
    return found


def _facts(system: System) -> dict[str, Any] | None:
    """What was noted when *system* was complete; None when it never was, or as another edgekit wanted it. Raises
    `EdgekitError` ``EK-FOREIGN``: it was changed since."""
    if not is_sealed(_directory(system)):
        return None
    try:
        facts: dict[str, Any] = json.loads(_marker(system).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if _recipe(system).items() <= facts.items() else None


def _recipe(system: System) -> dict[str, object]:
    return {"packages": list(system.packages), "wheels": [wheels.requirement(name) for name in system.wheels]}


def _parts(system: System, log: Log, *, download: bool) -> tuple[Part, ...]:
    def part(package: str) -> Part:
        wheel = wheels.find(wheels.requirement(package), system.python, system.architecture, system.glibc)
        return assembly.package_part(wheel, log, download=download)

    return (assembly.own_part(), *map(part, system.wheels))


def _unpack(part: Part, folder: Path) -> None:
    with making(folder) as fresh:
        fresh.mkdir()
        command = ["tar", "--extract", "--gzip", f"--file={part.archive}", "--directory", str(fresh)]
        result = children.run(command, capture_output=True)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[0]
            raise DeviceError("EK-DEVICE", f"cannot unpack {part.name}: {reason[:300]}", "is the disk full?")


def _machine(system: System, target: Target, core: board.Core | None) -> Machine:
    shown = board.files(target, core)
    return describe_machine(
        kernel_architecture="aarch64",
        pointer_bytes=4 if system.architecture == "armv7l" else 8,
        model=shown.get("sys/firmware/devicetree/base/model", ""),
        cpuinfo=shown["proc/cpuinfo"],
        meminfo=shown.get("proc/meminfo", ""),
        os_release='PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
        python=system.python,
        glibc=system.glibc,
        page_bytes=4096,  # qemu's, whatever the board's kernel has
    )


def _directory(system: System) -> Path:
    return home() / "emulator" / f"{debian.SUITE}-{system.architecture}"


def _compiled() -> Path:
    """Compiled modules, by the paths that a guest sees."""
    return home() / "emulator" / "compiled"


def _marker(system: System) -> Path:
    return home() / "emulator" / f"{system.architecture}.json"


def _folder(part: Part) -> Path:
    return home() / "emulator" / "parts" / part.digest
