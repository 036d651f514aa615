"""What machine this is: board, processor and its features, memory, operating system. Runs on every device."""

from __future__ import annotations

import mmap
import os
import platform
import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgekit import display
from edgekit.target import Feature

#: Our name for a feature -> what /proc/cpuinfo calls it: every name of one of the sets must be there.
_FEATURES: dict[Feature, tuple[frozenset[str], ...]] = {
    "neon": (frozenset({"asimd"}), frozenset({"neon"})),
    "fp16": (frozenset({"fphp", "asimdhp"}), frozenset({"avx512_fp16"})),
    "dotprod": (frozenset({"asimddp"}),),
    "i8mm": (frozenset({"i8mm"}),),
    "bf16": (frozenset({"bf16"}), frozenset({"avx512_bf16"})),
    "sve": (frozenset({"sve"}),),
    "sve2": (frozenset({"sve2"}),),
    "avx2": (frozenset({"avx2"}),),
    "avx512": (frozenset({"avx512f", "avx512bw", "avx512vl"}),),
    "vnni": (frozenset({"avx512_vnni"}), frozenset({"avx_vnni"})),
}

#: More belong to no device that edgekit knows.
_MOST_CORES = 4096
#: The longest name of a board, a processor or a system.
_MOST_CHARACTERS = 200

#: "CPU implementer" of Arm.
_ARM = "0x41"

#: More threads than this gain little on small models, and nothing on four-core boards.
MAX_DEFAULT_THREADS = 4


@dataclass(frozen=True)
class Cluster:
    """Cores of a phone that are alike.

    Attributes:
        cpus: Their numbers.
        cpu: As in `Machine.cpu`; None where it is not shown.
        frequency_hz: The highest they are made for; None where it is not shown.
    """

    cpus: tuple[int, ...]
    cpu: str | None
    frequency_hz: int | None


@dataclass(frozen=True)
class Machine:
    """A machine as a program on it sees it. What cannot be read is None.

    Attributes:
        board: Model from the device tree, as in ``Raspberry Pi 4 Model B Rev 1.4``; None on ordinary computers.
        architecture: Of the userland, which decides what runs: ``aarch64``, ``armv7l``, ``x86_64``; ``wasm32`` in a
            browser, which shows little else of its machine.
        kernel_architecture: Differs where a 64-bit kernel carries a 32-bit userland, as on many a Raspberry Pi.
        cpu: ``cortex-a72`` for Arm's cores (joined by ``+`` where they differ), else the name it gives itself.
        features: Those that every core has, named as in target files.
        memory_bytes: What the kernel manages: a little less than is soldered on.
        free_memory_bytes: Of that, what a program could have when this was read, without swapping.
        python: Its version; None where there is none.
        glibc: None where the C library is another one.
        page_bytes: 16384 on a Raspberry Pi 5's default kernel.
        clusters: A phone's little cores first, its big ones last; empty on other machines, whose cores are alike.
    """

    board: str | None
    architecture: str
    kernel_architecture: str
    cpu: str | None
    cores: int
    features: tuple[Feature, ...]
    memory_bytes: int | None
    os: str
    python: str | None
    glibc: str | None
    page_bytes: int
    free_memory_bytes: int | None = None
    clusters: tuple[Cluster, ...] = ()


def default_threads() -> int:
    """As many as this process may use cores, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_DEFAULT_THREADS, cores)


def read_machine(root: Path = Path("/")) -> Machine:
    """This machine. Files of the kernel and of the system are read below *root*."""
    models = (_text(root / file) for file in ("sys/firmware/devicetree/base/model", "proc/device-tree/model"))
    return describe_machine(
        kernel_architecture=platform.machine(),
        pointer_bytes=struct.calcsize("P"),
        model=next(filter(None, models), ""),
        cpuinfo=_text(root / "proc/cpuinfo") or "",
        meminfo=_text(root / "proc/meminfo") or "",
        os_release=_text(root / "etc/os-release") or "",
        python=platform.python_version(),
        glibc=_glibc(),
        page_bytes=mmap.PAGESIZE,
        cores=os.cpu_count(),
        system=f"{platform.system()} {platform.release()}",  # platform.platform() runs whatever PATH has as uname
    )


def describe_machine(
    *,
    kernel_architecture: str,
    pointer_bytes: int,
    model: str,
    cpuinfo: str,
    meminfo: str,
    os_release: str,
    python: str | None,
    glibc: str | None,
    page_bytes: int,
    cores: int | None = None,
    system: str = "Linux",
) -> Machine:
    """A machine, from texts that were read on it; an empty text stands for a file that cannot be read.

    Texts may be those of another machine, which may say anything: what cannot be understood is left out.

    Args:
        kernel_architecture: What ``uname -m`` says.
        pointer_bytes: Size of a pointer in its programs: 4 or 8.
        model: ``/sys/firmware/devicetree/base/model``, or ``/proc/device-tree/model``.
        cpuinfo, meminfo: ``/proc/cpuinfo``, ``/proc/meminfo``.
        os_release: ``/etc/os-release``.
        cores, system: What stands in where those files do not say.
    """
    release = re.search(r'^PRETTY_NAME="?([^"\n]+)', os_release, re.MULTILINE)
    memory = kilobytes(meminfo)
    return Machine(
        # /proc lacks the device tree in some containers, and only Raspberry Pi's kernel repeats it in cpuinfo.
        board=_shown(model.rstrip("\0\n")) or next(map(_shown, _values(cpuinfo, "Model")), None),
        architecture=userland(kernel_architecture, pointer_bytes),
        kernel_architecture=_shown(kernel_architecture),
        cpu=_cpu(cpuinfo),
        cores=min(len(_values(cpuinfo, "processor")), _MOST_CORES) or cores or 1,
        features=_features(cpuinfo),
        memory_bytes=memory.get("MemTotal"),
        os=_shown(release[1]) if release else system,
        python=python,
        glibc=glibc,
        page_bytes=page_bytes,
        free_memory_bytes=memory.get("MemAvailable"),
    )


def userland(machine: str, pointer_bytes: int) -> str:
    """The architecture that programs are built for, from ``uname -m`` and the size of a pointer.

    A 32-bit userland on a 64-bit kernel reads ``aarch64`` in ``uname -m``: only its pointers tell.
    """
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), _shown(machine))
    if pointer_bytes == 4:
        name = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(name, name)
    return name


def kilobytes(text: str) -> dict[str, int]:
    """Every line ``NAME: NUMBER kB`` of a file of the kernel's, in bytes."""
    found = re.findall(r"^(\w{1,64}):[ \t]+(\d{1,15}) kB", text, re.MULTILINE)
    return {name: int(number) * 1024 for name, number in found}


def free_disk_bytes(path: Path) -> int:
    """Free bytes for this user on the disk that holds *path*, or would hold it once it is made."""
    import shutil  # a dozen modules that no inference needs

    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _cpu(cpuinfo: str) -> str | None:
    names = _values(cpuinfo, "model name")
    # 32-bit Arm kernels fill "model name" too ("ARMv7 Processor rev 4 (v7l)"): the part number says more.
    names = arm_cores(cpuinfo) or names
    return _shown(" + ".join(dict.fromkeys(names))) or None


def arm_cores(cpuinfo: str) -> list[str]:
    """What each core that ``/proc/cpuinfo`` lists is, by its part number; empty where it has none."""
    pairs = zip(_values(cpuinfo, "CPU implementer"), _values(cpuinfo, "CPU part"), strict=False)
    return [_known_cores().get(part.lower(), part) if maker == _ARM else part for maker, part in pairs]


@cache
def _known_cores() -> dict[str, str]:
    """Arm's own cores by "CPU part"."""
    lines = Path(__file__).with_name("arm_cores.txt").read_text(encoding="ascii").splitlines()
    return {part: name for part, name in map(str.split, lines[1:])}


def _features(cpuinfo: str) -> tuple[Feature, ...]:
    per_core = [set(line.split()) for key in ("Features", "flags") for line in _values(cpuinfo, key)]
    common = set.intersection(*per_core) if per_core else set()
    return tuple(name for name, sets in _FEATURES.items() if any(needed <= common for needed in sets))


def _values(cpuinfo: str, key: str) -> list[str]:
    """What stands behind *key* in each block of /proc/cpuinfo; upper and lower case are different keys there."""
    pairs = (line.partition(":") for line in cpuinfo.splitlines())
    return [value.strip() for name, _, value in pairs if name.rstrip() == key and value.strip()]


def _shown(text: str) -> str:
    return display.one_line(text, _MOST_CHARACTERS).strip()


def _glibc() -> str | None:
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):  # not Linux; not glibc
        return None
    return version.removeprefix("glibc ") or None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
