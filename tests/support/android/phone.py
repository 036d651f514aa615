"""What a simulated device says of itself: the kernel's files, its properties and its services' reports."""

from __future__ import annotations

from dataclasses import dataclass

#: The core that qemu emulates, whichever of the device's a program runs on.
EMULATED_CORE = "cortex-a76"

#: Linux' names of what both kinds of core have.
_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"

#: "CPU part", fastest in kHz and capacity of 1024 of the two kinds of core: Cortex-A55 and Cortex-A76.
_LITTLE = (0xD05, 1_785_000, 414)
_BIG = (0xD0B, 2_419_000, 1024)

_CPU = "sys/devices/system/cpu"

#: Version of Android -> level of its API.
_API_LEVELS = {6: 23, 7: 24, 8: 26, 9: 28, 10: 29, 11: 30, 12: 31, 13: 33, 14: 34, 15: 35}


@dataclass(frozen=True)
class Phone:
    """A model of phone.

    Attributes:
        name: Of the model.
        android: Version. Below 7 its shell tells no exit codes, below 9 its protocol is the old one.
        little, big: Cores of each kind; the little ones come first. Programs can be pinned only to as many as this
            machine has.
        memory_mib: As /proc/meminfo tells it; nothing is limited.
        storage_mib: Of /data/local/tmp, and of /sdcard.
    """

    name: str = "Simulated_1"
    android: int = 14
    little: int = 4
    big: int = 4
    memory_mib: int = 5632
    storage_mib: int = 512

    @property
    def cores(self) -> int:
        return self.little + self.big

    @property
    def features(self) -> tuple[str, ...]:
        """What its adbd offers."""
        return ("shell_v2", "cmd", "stat_v2", "ls_v2") if self.android >= 7 else ()

    @property
    def properties(self) -> dict[str, str]:
        """As getprop shows them."""
        return {
            "ro.product.name": self.name.lower(),
            "ro.product.model": self.name,
            "ro.product.device": self.name.lower(),
            "ro.product.manufacturer": "edgekit",
            "ro.product.cpu.abi": "arm64-v8a",
            "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
            "ro.build.version.release": str(self.android),
            "ro.build.version.sdk": str(_API_LEVELS[self.android]),
            "ro.soc.model": "simulated",
            "ro.hardware": "simulated",
            "sys.boot_completed": "1",
        }


def kernel_files(phone: Phone) -> dict[str, str]:
    """Texts by path below ``proc`` and ``sys``."""
    kib = phone.memory_mib * 1024
    memory = {"MemTotal": kib, "MemFree": kib // 8, "MemAvailable": kib // 2, "SwapTotal": 0, "SwapFree": 0}
    meminfo = "".join(f"{f'{key}:':<15}{value:>9} kB\n" for key, value in memory.items())
    return {"proc/cpuinfo": _cpuinfo(phone), "proc/meminfo": meminfo, **_cpu_tree(phone)}


def kernel_links(phone: Phone) -> dict[str, str]:
    """Symbolic links below ``sys``: target by path. Cores of a kind share a clock."""
    return {f"{_CPU}/cpu{core}/cpufreq": f"../cpufreq/policy{_policy(phone, core)[0]}" for core in range(phone.cores)}


def frequency_file(phone: Phone, core: int) -> str:
    """The file with the frequency in kHz that *core* has now."""
    return f"{_CPU}/cpufreq/policy{_policy(phone, core)[0]}/scaling_cur_freq"


def build_prop(phone: Phone) -> str:
    return "".join(f"{key}={value}\n" for key, value in phone.properties.items())


def thermal_report(status: int, cpu_celsius: float, skin_celsius: float) -> str:
    """What ``dumpsys thermalservice`` prints.

    Args:
        status: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown.
    """
    readings = (
        ("CPU0", 0, cpu_celsius, status),
        ("battery", 2, 29.8, 0),
        ("skin", 3, skin_celsius, status),
    )
    now = "".join(
        f"\tTemperature{{mValue={value}, mType={kind}, mName={name}, mStatus={state}}}\n"
        for name, kind, value, state in readings
    )
    return (
        "IsStatusOverride: false\nThermalEventListeners:\n\tcallbacks: 1\n\tkilled: false\n\tbroadcasts count: -1\n"
        f"Thermal Status: {status}\n"
        # Of some time ago: who reads the temperature takes the other list.
        "Cached temperatures:\n\tTemperature{mValue=61.5, mType=0, mName=CPU0, mStatus=0}\n"
        "HAL Ready: true\nHAL connection:\n\tThermalHAL 2.0 connected: yes\n"
        f"Current temperatures from HAL:\n{now}"
        "Current cooling devices from HAL:\n\tCoolingDevice{mValue=0, mType=2, mName=cpufreq-cpu0}\n"
    )


def battery_report(level: int, celsius: float, charging: bool) -> str:
    """What ``dumpsys battery`` prints; *level* in percent."""
    return (
        "Current Battery Service state:\n  AC powered: false\n"
        f"  USB powered: {str(charging).lower()}\n  Wireless powered: false\n  Max charging current: 500000\n"
        f"  status: {2 if charging else 3}\n  health: 2\n  present: true\n  level: {level}\n  scale: 100\n"
        f"  voltage: 4123\n  temperature: {round(celsius * 10)}\n  technology: Li-ion\n"
    )


def _cpuinfo(phone: Phone) -> str:
    return "".join(
        f"processor\t: {core}\nBogoMIPS\t: 38.40\nFeatures\t: {_FEATURES}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0x{_kind(phone, core)[0]:03x}\nCPU revision\t: 0\n\n"
        for core in range(phone.cores)
    )


def _cpu_tree(phone: Phone) -> dict[str, str]:
    everyone = _span(0, phone.cores - 1)
    tree = {f"{_CPU}/{name}": everyone for name in ("possible", "present", "online")}
    tree[f"{_CPU}/kernel_max"] = "31\n"
    for core in range(phone.cores):
        first, last = _policy(phone, core)
        _, fastest_khz, capacity = _kind(phone, core)
        tree[f"{_CPU}/cpu{core}/cpu_capacity"] = f"{capacity}\n"
        tree[f"{_CPU}/cpu{core}/topology/core_id"] = f"{core - first}\n"
        tree[f"{_CPU}/cpu{core}/topology/physical_package_id"] = f"{0 if first == 0 else 1}\n"
        tree[f"{_CPU}/cpu{core}/topology/core_siblings_list"] = _span(first, last)
        policy = f"{_CPU}/cpufreq/policy{first}"
        tree[f"{policy}/related_cpus"] = " ".join(map(str, range(first, last + 1))) + "\n"
        for name in ("cpuinfo_min_freq", "scaling_min_freq"):
            tree[f"{policy}/{name}"] = "300000\n"
        for name in ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq"):
            tree[f"{policy}/{name}"] = f"{fastest_khz}\n"
        tree[f"{policy}/scaling_governor"] = "schedutil\n"
    return tree


def _kind(phone: Phone, core: int) -> tuple[int, int, int]:
    return _LITTLE if core < phone.little else _BIG


def _policy(phone: Phone, core: int) -> tuple[int, int]:
    """The first and the last core of the kind that *core* is of."""
    return (0, phone.little - 1) if core < phone.little else (phone.little, phone.cores - 1)


def _span(first: int, last: int) -> str:
    return f"{first}-{last}\n" if last > first else f"{first}\n"
