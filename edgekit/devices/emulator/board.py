"""What the kernel of a board shows of it: the files that engines choose their kernels by.

The CPU that qemu emulates and the one that these files describe must be the same core: engines believe the part
number (a Cortex-A76 by its files on an emulated Cortex-A72 dies of dot-product instructions, SIGILL), and on a
desktop's own files LiteRT 2.3.0 crashes when a model is opened, while ExecuTorch 1.5.1 takes other kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.target import Target

#: For a target that names no core: the least that every 64-bit Arm processor has.
_LEAST_CORE = "cortex-a53"

#: qemu's user emulation takes every Armv7 core of a board for this one.
_ARMV7 = "cortex-a7"


@dataclass(frozen=True)
class Core:
    """A core as /proc/cpuinfo and /sys describe it, from its reference manual and Linux' names of features.

    Attributes:
        name: What qemu calls it.
        part: "CPU part", from MIDR_EL1.
        variant, revision: ``rNpM`` of the processor that boards have.
        flags: The line "Features".
        level2_kib: Cache shared by the cores, or each core's own.
        max_khz: Of a common board.
    """

    name: str
    part: int
    variant: int
    revision: int
    flags: str
    level2_kib: int
    max_khz: int


_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_32_BIT = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32"

CORES = {
    core.name: core
    for core in (
        Core("cortex-a7", 0xC07, 0, 5, _32_BIT, 512, 1_400_000),
        Core("cortex-a35", 0xD04, 0, 2, _ARMV8_0, 512, 1_200_000),
        Core("cortex-a53", 0xD03, 0, 4, _ARMV8_0, 512, 1_400_000),
        Core("cortex-a57", 0xD07, 1, 1, _ARMV8_0, 2048, 1_900_000),
        Core("cortex-a72", 0xD08, 0, 3, _ARMV8_0, 1024, 1_800_000),
        Core("cortex-a76", 0xD0B, 4, 1, _ARMV8_2, 512, 2_400_000),
        Core("neoverse-n1", 0xD0C, 3, 1, _ARMV8_2, 1024, 2_600_000),
    )
}


def core_of(target: Target) -> Core:
    """The core of *target*'s processor. Raises `UsageError` ``EK-TARGET``: none that can be emulated."""
    name = target.cpu.core or (_ARMV7 if target.cpu.architecture == "armv7l" else _LEAST_CORE)
    if name not in CORES:
        raise UsageError("EK-TARGET", f"{target.name}: no {name} is emulated", f"known cores: {', '.join(CORES)}")
    return CORES[name]


def files(target: Target, core: Core | None = None) -> dict[str, str]:
    """What a board of *target* shows: texts by path (``proc/cpuinfo``, ``proc/meminfo``, ``sys/…``).

    Args:
        core: Instead of the target's.
    """
    core = core or core_of(target)
    model = f"{target.boards[0]} Rev 1.0" if target.boards else None
    cores = target.cpu.cores or target.threads
    shown = {"proc/cpuinfo": _cpuinfo(core, cores, model), **_cpu_tree(core, cores)}
    if target.memory_bytes is not None:
        kib = target.memory_bytes // 1024
        memory = {"MemTotal": kib, "MemFree": kib // 2, "MemAvailable": kib * 3 // 4, "SwapTotal": 0, "SwapFree": 0}
        shown["proc/meminfo"] = "".join(f"{f'{key}:':<15}{value:>9} kB\n" for key, value in memory.items())
    if model is not None:  # the device tree ends its texts with NUL
        shown["sys/firmware/devicetree/base/model"] = shown["proc/device-tree/model"] = f"{model}\0"
    return shown


def write(target: Target, root: Path, core: Core | None = None) -> None:
    """Write `files` below *root*."""
    for path, text in files(target, core).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _cpuinfo(core: Core, cores: int, model: str | None) -> str:
    block = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {core.flags}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x{core.variant:x}\nCPU part\t: 0x{core.part:03x}\nCPU revision\t: {core.revision}\n\n"
    )
    blocks = "".join(f"processor\t: {index}\n{block}" for index in range(cores))
    return blocks + (f"Model\t\t: {model}\n" if model else "")


def _cpu_tree(core: Core, cores: int) -> dict[str, str]:
    """``/sys/devices/system/cpu``: one cluster of equal cores."""
    top = "sys/devices/system/cpu"
    everyone = f"0-{cores - 1}\n" if cores > 1 else "0\n"
    tree = {f"{top}/{name}": everyone for name in ("possible", "present", "online")}
    tree[f"{top}/kernel_max"] = "255\n"
    for index in range(cores):
        own = f"{top}/cpu{index}"
        for name in ("cluster_cpus_list", "core_siblings_list", "package_cpus_list"):
            tree[f"{own}/topology/{name}"] = everyone
        tree[f"{own}/topology/physical_package_id"] = "0\n"
        tree[f"{own}/topology/core_id"] = f"{index}\n"
        for name in ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq"):
            tree[f"{own}/cpufreq/{name}"] = f"{core.max_khz}\n"
        for name in ("cpuinfo_min_freq", "scaling_min_freq"):
            tree[f"{own}/cpufreq/{name}"] = "600000\n"
        tree[f"{own}/cpufreq/scaling_governor"] = "ondemand\n"
        cache = {"level": "2", "type": "Unified", "size": f"{core.level2_kib}K", "shared_cpu_list": everyone.strip()}
        tree.update({f"{own}/cache/index2/{name}": f"{value}\n" for name, value in cache.items()})
    return tree
