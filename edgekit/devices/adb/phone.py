"""What an Android phone says of itself: what it is, and how hot, fast and busy it is now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgekit.errors import DeviceError
from edgekit.runtime.machine import Cluster, Machine, arm_cores, describe_machine, kilobytes
from edgekit.runtime.profiler.records import BoardState

#: Where programs may be put and run by adb's shell; what apps and the SD card have may not be executed.
PLACE = "/data/local/tmp"

#: Android 8: from there on, the shell has all that is needed, and adb tells exit codes.
_LEAST_SDK = 26
_TOOLS = ("cat", "df", "find", "mkdir", "mv", "rm", "sha256sum", "sync", "uname")

#: Reads a file's first line without starting a program: phones have many cores, and some a slow shell. Short names
#: would be aliases there: ``r`` is one of mksh.
_READ = """\
line_of() { found=; [ -r "$1" ] && read -r found <"$1"; } 2>/dev/null
section() { printf '\\n== %s\\n' "$1"; }
"""

#: Of each core: number, highest frequency it has, highest it may have now, the one it has now (kHz), governor.
_CORES = """\
section cores
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  line=${core##*/cpu}
  for file in cpuinfo_max_freq scaling_max_freq scaling_cur_freq scaling_governor; do
    line_of "$core/cpufreq/$file"; line="$line|$found"
  done
  echo "$line"
done
"""

#: What kind of phone it is. The serial number and what else is personal stays there.
_PROPERTIES = (
    "ro.product.manufacturer",
    "ro.product.model",
    "ro.soc.manufacturer",
    "ro.soc.model",
    "ro.board.platform",
    "ro.build.version.release",
    "ro.build.version.sdk",
    "ro.product.cpu.abilist",
)

#: For `read_phone`.
FACTS = f"""\
{_READ}
section properties; getprop | grep -E '^.({"|".join(map(re.escape, _PROPERTIES))}).:'
section kernel_architecture; uname -m
section cpuinfo; cat /proc/cpuinfo
section meminfo; cat /proc/meminfo
section page; grep -m 1 KernelPageSize /proc/self/smaps
section disk; df -k {PLACE}
section lacking; for tool in {" ".join(_TOOLS)}; do command -v $tool >/dev/null || echo $tool; done
{_CORES}
"""

#: For `read_state`. Load is that of the time between two looks, without that of looking: the services take most of it.
STATE = f"""\
{_READ}
section stat; line_of /proc/stat; echo "$found"
section uptime; line_of /proc/uptime; echo "$found"
section meminfo; cat /proc/meminfo
{_CORES}
section thermal; dumpsys thermalservice
section battery; dumpsys battery
section stat_after; line_of /proc/stat; echo "$found"
"""

#: Kinds of temperature (``android.hardware.thermal``): of the processor.
_CPU = "0"
#: Names of its sensors where a vendor gives them kinds of its own.
_CPU_NAMES = re.compile(r"(cpu|soc|big|mid|little|ap)([-_ 0-9].*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Phone:
    """A phone.

    Attributes:
        machine: Without Python and glibc, which phones do not have.
        android: Its version, as in ``14``.
        sdk: Its API level, as in 34.
        free_disk_bytes: Where programs go.
    """

    machine: Machine
    android: str
    sdk: int
    free_disk_bytes: int


def read_phone(device: str, text: str) -> Phone:
    """The phone that gave *text* for `FACTS`.

    Args:
        device: What messages call it.

    Raises:
        DeviceError: ``EK-DEVICE``: it is none that edgekit's runner works on, or says nothing that can be understood.
    """
    sections = _sections(text)
    try:
        properties = dict(re.findall(r"^\[(.*?)\]: \[(.*)\]$", sections["properties"], re.MULTILINE))
        kernel = sections["kernel_architecture"]
        lacking = sections["lacking"].split()
        page = re.search(r"(\d+) kB", sections["page"])
        disk = re.search(r"(\d+)\s+(\d+)\s+(\d+)\s+\d+%", sections["disk"])
        abis = [abi for abi in properties.get("ro.product.cpu.abilist", "").split(",") if abi]
        sdk = int(properties.get("ro.build.version.sdk") or 0)
    except (KeyError, ValueError) as error:
        raise DeviceError("EK-DEVICE", f"{device}: its description of itself is unreadable ({error!r})") from error
    if kernel != "aarch64" or "arm64-v8a" not in (abis or ["arm64-v8a"]):
        found = f"{kernel}, programs: {', '.join(abis) or 'unknown'}"
        reason = f"{device} is no 64-bit Arm phone ({found}), for which edgekit's runner is made"
        raise DeviceError("EK-DEVICE", reason, "edgekit phone BUNDLE  runs models in its browser")
    android = properties.get("ro.build.version.release", "")
    system = f"Android {android} (API {sdk})"
    if 0 < sdk < _LEAST_SDK or lacking:
        found = f"lacks {', '.join(lacking)}" if lacking else f"has {system}"
        hint = "edgekit's runner needs Android 8 or later; edgekit phone BUNDLE  runs models in its browser"
        raise DeviceError("EK-DEVICE", f"{device} {found}", hint)
    machine = describe_machine(
        kernel_architecture=kernel,
        pointer_bytes=8,
        model=_model(properties),
        cpuinfo=sections["cpuinfo"],
        meminfo=sections["meminfo"],
        os_release=f"PRETTY_NAME={system}",
        python=None,
        glibc=None,
        page_bytes=int(page[1]) * 1024 if page else 4096,
    )
    clusters = _clusters(sections["cpuinfo"], _cores(sections.get("cores", "")))
    return Phone(replace(machine, clusters=clusters), android, sdk, int(disk[3]) * 1024 if disk else 0)


def read_state(text: str, before: str | None = None) -> BoardState:
    """The phone's state now. What it does not say, or nothing understands, is None or empty.

    Args:
        text: What it gave for `STATE`.
        before: The same for the look before, from which on its load counts.
    """
    sections = _sections(text)
    cores = _cores(sections.get("cores", ""))
    status, celsius = read_thermal(sections.get("thermal", ""))
    return BoardState(
        at_s=_number(sections.get("uptime", "").partition(" ")[0]) or 0.0,
        frequencies_hz=_known(core.now_hz for core in cores),
        frequency_limit_hz=max((core.limit_hz for core in cores if core.limit_hz), default=None),
        governors=tuple(core.governor for core in cores) if any(core.governor for core in cores) else (),
        temperature_celsius=celsius,
        thermal_status=status,
        load_per_core=_load(_sections(before or "").get("stat_after", ""), sections.get("stat", "")),
        free_memory_bytes=kilobytes(sections.get("meminfo", "")).get("MemAvailable"),
        power_source=read_power_source(sections.get("battery", "")),
        battery_percent=read_battery_percent(sections.get("battery", "")),
    )


def read_thermal(text: str) -> tuple[int | None, float | None]:
    """Status (0 none to 6 shutdown) and the processor's temperature in ``dumpsys thermalservice``.

    The service also prints temperatures that it has cached, since its last event: those are old, and left out.
    """
    status = re.search(r"^\s*Thermal Status:\s*(\d+)", text, re.MULTILINE)
    found = re.search(r"^\s*Current temperatures from HAL:(.*?)(?:^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for each in re.findall(r"Temperature\{([^}]*)\}", found[1] if found else ""):
        fields = dict(part.strip().partition("=")[::2] for part in each.split(","))
        celsius = _number(fields.get("mValue", ""))
        if celsius is None or not 1 <= celsius <= 150:  # a sensor that is off has 0
            continue
        if fields.get("mType") == _CPU or _CPU_NAMES.fullmatch(fields.get("mName", "")):
            kinds[fields.get("mType") == _CPU].append(celsius)
    values = kinds[True] or kinds[False]
    return int(status[1]) if status else None, max(values, default=None)


def read_power_source(text: str) -> str | None:
    """``mains`` or ``battery`` in ``dumpsys battery``; None where it does not say."""
    powered = re.findall(r"^\s*(?:AC|USB|Wireless|Dock) powered:\s*(true|false)", text, re.MULTILINE)
    if "true" in powered:
        return "mains"
    status = re.search(r"^\s*status:\s*(\d)", text, re.MULTILINE)
    if powered or (status and status[1] == "3"):  # BatteryManager.BATTERY_STATUS_DISCHARGING
        return "battery"
    return "mains" if status and status[1] in "25" else None  # charging, full


def read_battery_percent(text: str) -> float | None:
    """How full the battery is in ``dumpsys battery``; None where it does not say."""
    level, scale = (re.search(rf"^\s*{name}:\s*(\d+)", text, re.MULTILINE) for name in ("level", "scale"))
    if level is None or (scale is not None and int(scale[1]) == 0):
        return None
    return 100 * int(level[1]) / (int(scale[1]) if scale else 100)


@dataclass(frozen=True)
class _Core:
    number: int
    highest_hz: int
    limit_hz: int
    now_hz: int
    governor: str


def _cores(text: str) -> list[_Core]:
    """By number; a frequency that is not known is 0."""
    found = []
    for line in text.splitlines():
        number, *kilohertz, governor = line.split("|")
        highest, limit, now = (1000 * int(_number(value) or 0) for value in kilohertz)
        found.append(_Core(int(number), highest, limit, now, governor))
    return sorted(found, key=lambda core: core.number)


def _clusters(cpuinfo: str, cores: list[_Core]) -> tuple[Cluster, ...]:
    """Cores that are alike, slowest first."""
    there = [int(number) for number in re.findall(r"^processor\s*:\s*(\d+)", cpuinfo, re.MULTILINE)]
    kinds = dict(zip(there, arm_cores(cpuinfo), strict=False))
    # A core that is switched off is missing from /proc/cpuinfo: it is of the kind that is as fast.
    by_speed = {core.highest_hz: kinds[core.number] for core in cores if core.number in kinds}
    groups: dict[tuple[int, str], list[int]] = {}
    for core in cores:
        kind = kinds.get(core.number) or by_speed.get(core.highest_hz, "")
        groups.setdefault((core.highest_hz, kind), []).append(core.number)
    return tuple(
        Cluster(tuple(numbers), kind or None, hertz or None) for (hertz, kind), numbers in sorted(groups.items())
    )


def _model(properties: Mapping[str, str]) -> str:
    """As in ``Google Pixel 8 (Google Tensor G3)``."""
    maker, model = (properties.get(f"ro.product.{name}", "").strip() for name in ("manufacturer", "model"))
    name = model if model.lower().startswith(maker.lower()) else f"{maker[:1].upper()}{maker[1:]} {model}"
    chip = " ".join(filter(None, (properties.get(f"ro.soc.{name}", "").strip() for name in ("manufacturer", "model"))))
    chip = chip or properties.get("ro.board.platform", "").strip()
    return f"{name.strip()} ({chip})" if chip else name.strip()


def _load(before: str, now: str) -> float | None:
    """Share of the time between two first lines of ``/proc/stat`` in which cores were busy."""
    looks = [[int(number) for number in re.findall(r"\d+", line)[:8]] for line in (before, now)]
    if any(len(look) < 5 for look in looks):
        return None
    spent = [new - old for old, new in zip(*looks, strict=True)]
    total, idle = sum(spent), sum(spent[3:5])
    return min(max((total - idle) / total, 0.0), 1.0) if total > 0 else None


def _known(values: Iterable[int]) -> tuple[int, ...]:
    numbers = tuple(values)
    return numbers if any(numbers) else ()


def _number(text: str) -> float | None:
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*", text)
    return float(found[1]) if found else None


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^== (\w+)$", text.replace("\r", ""), flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
