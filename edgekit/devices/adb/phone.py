"""What an Android phone says of itself: what it is, and how hot, fast and busy it is now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit import display
from edgekit.devices.transport import described
from edgekit.errors import DeviceError
from edgekit.runtime.machine import Cluster, Machine, arm_cores, describe_machine, kilobytes
from edgekit.runtime.profiler.records import BoardState

#: Where programs may be put and run by adb's shell; what apps and the SD card have may not be executed.
FOLDER = "/data/local/tmp"

#: Android 8: from there on, the shell has all that is needed, and adb tells exit codes.
_LEAST_SDK, _MOST_SDK = 26, 10_000
#: Sizes that pages have.
_PAGE_KILOBYTES = (4, 16, 64)
#: No phone comes near, and what says so is believed in nothing.
_MOST_CORES, _MOST_KILOHERTZ, _MOST_STATUS, _MOST_NAME_CHARACTERS = 1023, 100_000_000, 6, 200
_TOOLS = ("cat", "df", "find", "mkdir", "mv", "rm", "sha256sum", "sync", "uname")

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

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")
#: For `read_phone`.
FACTS = f"{_SCRIPT}facts {FOLDER} '^.({'|'.join(map(re.escape, _PROPERTIES))}).:' {' '.join(_TOOLS)}"
#: For `read_state`.
STATE = f"{_SCRIPT}state"

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
        sdk: Its API level, as in 34; 0 where it does not say.
        free_disk_bytes: Where programs go; None where it does not say.
    """

    machine: Machine
    android: str
    sdk: int
    free_disk_bytes: int | None


def read_phone(device: str, text: str) -> Phone:
    """The phone that gave *text* for `FACTS`. What it does not say, or nothing understands, is None or left out.

    Args:
        device: What messages call it.

    Raises:
        DeviceError: ``EK-DEVICE``: it is none that edgekit's runner works on, or does not even say what it is.
    """
    sections = described.sections(text)
    kernel = described.word(sections.get("kernel_architecture", ""))
    if kernel is None:
        raise DeviceError("EK-DEVICE", f"{device}: its description of itself is unreadable")
    properties = _properties(sections.get("properties", ""))
    said = sections.get("lacking", "").split()
    lacking = [tool for tool in dict.fromkeys(said) if tool in _TOOLS]
    abis = [abi for abi in properties.get("ro.product.cpu.abilist", "").split(",") if abi]
    sdk = described.whole(properties.get("ro.build.version.sdk", ""), _MOST_SDK) or 0
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
    page_kilobytes = described.whole(sections.get("page", "").rpartition(":")[2].removesuffix("kB"))
    cpuinfo = sections.get("cpuinfo", "")
    machine = describe_machine(
        kernel_architecture=kernel,
        pointer_bytes=8,
        model=_model(properties),
        cpuinfo=cpuinfo,
        meminfo=sections.get("meminfo", ""),
        os_release=f"PRETTY_NAME={system}",
        python=None,
        glibc=None,
        page_bytes=1024 * page_kilobytes if page_kilobytes in _PAGE_KILOBYTES else 4096,
    )
    clusters = _clusters(cpuinfo, _cores(sections.get("cores", "")))
    disks = map(described.free_bytes, sections.get("disk", "").split("\n"))
    return Phone(replace(machine, clusters=clusters), android, sdk, next(filter(None, disks), None))


def read_state(text: str, before: str | None = None) -> BoardState:
    """The phone's state now. What it does not say, or nothing understands, is None or empty.

    Args:
        text: What it gave for `STATE`.
        before: The same for the look before, from which on its load counts.
    """
    sections = described.sections(text)
    cores = _cores(sections.get("cores", ""))
    status, celsius = read_thermal(sections.get("thermal", ""))
    return BoardState(
        at_s=max(0.0, described.decimal(sections.get("uptime", "").partition(" ")[0]) or 0.0),
        frequencies_hz=_known(core.now_hz for core in cores),
        frequency_limit_hz=max((core.limit_hz for core in cores if core.limit_hz), default=None),
        governors=tuple(core.governor for core in cores) if any(core.governor for core in cores) else (),
        temperature_celsius=celsius,
        thermal_status=status,
        load_per_core=_load(described.sections(before or "").get("stat_after", ""), sections.get("stat", "")),
        free_memory_bytes=kilobytes(sections.get("meminfo", "")).get("MemAvailable"),
        power_source=read_power_source(sections.get("battery", "")),
        battery_percent=read_battery_percent(sections.get("battery", "")),
    )


def read_thermal(text: str) -> tuple[int | None, float | None]:
    """Status (0 none to 6 shutdown) and the processor's temperature in ``dumpsys thermalservice``.

    The service also prints temperatures that it has cached, since its last event: those are old, and left out.
    """
    status = described.whole(described.fields(text).get("Thermal Status", ""), _MOST_STATUS)
    kinds: dict[bool, list[float]] = {True: [], False: []}
    inside = False
    for line in text.split("\n"):
        if not inside or (line and not line[0].isspace()):
            inside = line.strip() == "Current temperatures from HAL:"
            continue
        for each in line.split("Temperature{")[1:]:
            values = dict(part.strip().partition("=")[::2] for part in each.partition("}")[0].split(","))
            celsius = described.decimal(values.get("mValue", ""))
            if celsius is None or not 1 <= celsius <= 150:  # a sensor that is off has 0
                continue
            kind, name = values.get("mType"), values.get("mName", "")[:_MOST_NAME_CHARACTERS]
            if kind == _CPU or _CPU_NAMES.fullmatch(name):
                kinds[kind == _CPU].append(celsius)
    return status, max(kinds[True] or kinds[False], default=None)


def read_power_source(text: str) -> str | None:
    """``mains`` or ``battery`` in ``dumpsys battery``; None where it does not say."""
    said = described.fields(text)
    powered = [said[f"{name} powered"] for name in ("AC", "USB", "Wireless", "Dock") if f"{name} powered" in said]
    if "true" in powered:
        return "mains"
    status = said.get("status", "")[:1]
    if "false" in powered or status == "3":  # BatteryManager.BATTERY_STATUS_DISCHARGING
        return "battery"
    return "mains" if status and status in "25" else None  # charging, full


def read_battery_percent(text: str) -> float | None:
    """How full the battery is in ``dumpsys battery``; None where it does not say."""
    said = described.fields(text)
    level, scale = described.whole(said.get("level", "")), described.whole(said.get("scale", "100"))
    if level is None or not scale or level > scale:
        return None
    return 100 * level / scale


@dataclass(frozen=True)
class _Core:
    number: int
    highest_hz: int
    limit_hz: int
    now_hz: int
    governor: str


def _properties(text: str) -> dict[str, str]:
    """What stands in ``[NAME]: [VALUE]``, of the names that were asked for."""
    found = {}
    for line in text.split("\n"):
        name, colon, value = line.strip().partition("]: [")
        if colon and value.endswith("]") and name[1:] in _PROPERTIES:
            found[name[1:]] = display.one_line(value[:-1], _MOST_NAME_CHARACTERS)
    return found


def _cores(text: str) -> list[_Core]:
    """By number; a frequency that is not known is 0. A line that is none of a core's is left out."""
    found: dict[int, _Core] = {}
    for line in text.split("\n"):
        parts = line.split("|")
        number = described.whole(parts[0], _MOST_CORES)
        if len(parts) == 5 and number is not None:
            highest, limit, now = (1000 * (described.whole(value, _MOST_KILOHERTZ) or 0) for value in parts[1:4])
            found.setdefault(number, _Core(number, highest, limit, now, described.word(parts[4]) or ""))
    return sorted(found.values(), key=lambda core: core.number)


def _clusters(cpuinfo: str, cores: list[_Core]) -> tuple[Cluster, ...]:
    """Cores that are alike, slowest first."""
    lines = (line.partition(":") for line in cpuinfo.split("\n"))
    there = [described.whole(number, _MOST_CORES) for name, _, number in lines if name.strip() == "processor"]
    kinds = dict(zip(there, arm_cores(cpuinfo), strict=False))
    # A core that is switched off is missing from /proc/cpuinfo: it is of the kind that is as fast.
    by_speed = {core.highest_hz: kinds[core.number] for core in cores if core.number in kinds}
    groups: dict[tuple[int, str], list[int]] = {}
    for core in cores:
        kind = kinds.get(core.number) or by_speed.get(core.highest_hz, "")
        groups.setdefault((core.highest_hz, display.one_line(kind, _MOST_NAME_CHARACTERS)), []).append(core.number)
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
    looks = [[described.whole(number) for number in line.split()[1:9]] for line in (before, now)]
    if any(len(look) < 5 or None in look for look in looks):
        return None
    old, new = ([number or 0 for number in look] for look in looks)
    spent = [after - earlier for earlier, after in zip(old, new, strict=False)]
    total, idle = sum(spent), sum(spent[3:5])
    return min(max((total - idle) / total, 0.0), 1.0) if total > 0 else None


def _known(values: Iterable[int]) -> tuple[int, ...]:
    numbers = tuple(values)
    return numbers if any(numbers) else ()
