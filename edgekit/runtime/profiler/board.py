"""The state of the machine that measures: how fast, how hot, how busy. Standard library only."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from edgekit import display
from edgekit.runtime import children
from edgekit.runtime.machine import kilobytes
from edgekit.runtime.profiler.records import BoardState

#: Types of thermal zone that belong to the processor, best first: of boards, Intel's, and of phones.
_CPU_ZONES = (r"cpu[-_]thermal", r"x86_pkg_temp", r"soc[-_]thermal", r"cpu.*", r"mtktscpu", r"soc.*")
#: Names of hwmon sensors whose first temperature is the processor's: AMD's have no thermal zone.
_CPU_SENSORS = ("k10temp", "zenpower", "coretemp", "cpu_thermal")

_UNDER_VOLTAGE_OCCURRED = 1 << 16

#: Enough of any file that is read here: of /proc/stat only its first line is wanted.
_MOST_BYTES = 4096
_VCGENCMD_TIMEOUT_S = 2.0
#: The longest name of a governor, and a frequency that no core has.
_MOST_CHARACTERS, _MOST_KILOHERTZ = 100, 100_000_000

_NO_METER = "this machine has no power meter that edgekit can read (a Raspberry Pi 5 has one)"
_SILENT_METER = "vcgencmd pmic_read_adc does not answer; it has to be installed, and the user in group video"
_BOARDS_WITH_METER = ("Raspberry Pi 5", "Raspberry Pi Compute Module 5")

_T = TypeVar("_T")


def ask_firmware(command: str) -> str | None:
    """What ``vcgencmd COMMAND`` prints on a Raspberry Pi; None where it is missing, or fails."""
    try:
        done = children.run(["vcgencmd", command], capture_output=True, timeout=_VCGENCMD_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


class Board:
    """Looks at a machine. What it lacks, and what cannot be understood, is None or empty; nothing raises.

    A look reads files that are kept open, in less than a millisecond. Only where a Raspberry Pi's kernel does not show
    what its firmware throttles does each look run ``vcgencmd`` (some 10 ms). The file that shows it is two seconds old
    at most, and newer kernels write a warning to their log when it is first read.

    Args:
        root: Where the machine's files begin.
        clock: Seconds that only go up.
        vcgencmd: Asks a Raspberry Pi's firmware; see `ask_firmware`.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        clock: Callable[[], float] = time.monotonic,
        vcgencmd: Callable[[str], str | None] = ask_firmware,
    ) -> None:
        self._root, self._clock, self._vcgencmd = root, clock, vcgencmd
        cores = _numbered(root / "sys/devices/system/cpu", "cpu")
        self._frequencies = _one_for_each(core / "cpufreq/scaling_cur_freq" for core in cores)
        self._limits = list(dict.fromkeys(_one_for_each(core / "cpufreq/scaling_max_freq" for core in cores)))
        self._governors = _one_for_each(core / "cpufreq/scaling_governor" for core in cores)
        self._throttle_counts = [_File(path) for path in _throttle_counts(cores) if path.is_file()]
        self._temperatures = [_File(path) for path in _temperatures(root)]
        self._firmware = next(map(_File, root.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled")), None)
        self._ask_for_bits = self._firmware is None
        self._voltage_alarms = [_File(sensor / "in0_lcrit_alarm") for sensor in _sensors(root, "rpi_volt")]
        supplies = {path: _text(path / "type").strip() for path in sorted(root.glob("sys/class/power_supply/*"))}
        self._plugs = [_File(path / "online") for path, kind in supplies.items() if kind.startswith(("Mains", "USB"))]
        self._batteries = [
            _File(path / "status")
            for path, kind in supplies.items()
            if kind == "Battery" and _text(path / "scope").strip() != "Device"  # one of a mouse or a pen
        ]
        self._stat, self._meminfo = _File(root / "proc/stat"), _File(root / "proc/meminfo")
        self._processes = _Processes(root / "proc")
        self._last_ticks = self._ticks()

    def look(self, *, meter: bool = False) -> BoardState:
        """The machine now, its load since the look before (the first: since this object was made).

        Args:
            meter: Also read the power meter, where there is one: another 10 ms, and some work for the processor. What
                it shows is the power of this moment: read it while inferences run.
        """
        load, others = self._loads()
        return BoardState(
            at_s=self._clock(),
            frequencies_hz=_known([_hertz(text) for text in _texts(self._frequencies)]),
            frequency_limit_hz=max(filter(None, (_hertz(file.text()) for file in self._limits)), default=None),
            governors=_known([display.one_line(text.strip(), _MOST_CHARACTERS) for text in _texts(self._governors)]),
            temperature_celsius=max(filter(None, (_celsius(file.text()) for file in self._temperatures)), default=None),
            throttled=self._throttled(),
            throttle_count=_sum(_whole(file.text()) for file in self._throttle_counts),
            load_per_core=load,
            others_load_per_core=others,
            free_memory_bytes=kilobytes(self._meminfo.text()).get("MemAvailable"),
            power_source=_power_source(self._plugs, self._batteries),
            power_w=_watts(self._vcgencmd("pmic_read_adc")) if meter and not self.energy_reason else None,
        )

    @cached_property
    def energy_reason(self) -> str:
        """Why no look has a `BoardState.power_w`; empty where there is a meter. Asks it once."""
        if _watts(self._vcgencmd("pmic_read_adc")) is not None:
            return ""
        model = _text(self._root / "sys/firmware/devicetree/base/model")
        return _SILENT_METER if model.startswith(_BOARDS_WITH_METER) else _NO_METER

    def _throttled(self) -> int | None:
        if self._firmware is not None:
            bits = _hexadecimal(self._firmware.text())
        elif self._ask_for_bits:
            bits = _hexadecimal((self._vcgencmd("get_throttled") or "").strip().removeprefix("throttled=0x"))
            # What does not answer once never will: no such tool, or not for this user.
            self._ask_for_bits = bits is not None
        else:
            bits = None
        if bits is None and any(alarm.text().strip() == "1" for alarm in self._voltage_alarms):
            return _UNDER_VOLTAGE_OCCURRED  # all that a kernel without Raspberry Pi's changes says
        return bits

    def _loads(self) -> tuple[float | None, float | None]:
        """Shares of the time since the look before: all that ran, and of that what is not this process's doing."""
        busy, total, own = self._last_ticks
        new_busy, new_total, new_own = ticks = self._ticks()
        passed = new_total - total
        if passed <= 0:  # looks within one clock tick; the next that falls into another counts from the same
            return None, None
        self._last_ticks = ticks
        load = _share((new_busy - busy) / passed)
        if own is None or new_own is None:
            return load, None
        return load, _share((new_busy - busy - (new_own - own)) / passed)

    def _ticks(self) -> tuple[int, int, int | None]:
        """Clock ticks of all cores since the start: busy, all, and those of this process and its children."""
        # Time of guests is counted as the user's already; waiting for a disk is idle.
        ticks = [int(number) for number in re.findall(r"\d{1,18}", self._stat.text().partition("\n")[0])[:8]]
        return sum(ticks) - sum(ticks[3:5]), sum(ticks), self._processes.ticks()


class _File:
    """One file of the kernel, kept open: reading it again costs a fifth of what opening it does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def text(self) -> str:
        """How it begins now; empty when it cannot be read."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY)
            return os.pread(self._descriptor, _MOST_BYTES, 0).decode("ascii", errors="replace")
        except OSError:
            # A core that was switched off and on has new files.
            self._close()
            return ""

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    __del__ = _close


class _Processes:
    """This process and all that it started, and what those started.

    Their parents tell them from others, and each process is asked once: ``/proc/PID/task/TID/children`` is missing
    from Raspberry Pi's kernels.
    """

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._own = {_text(proc / "self/stat").partition(" ")[0]}
        self._others: set[str] = set()

    def ticks(self) -> int | None:
        """Processor time that they took, in clock ticks; None where processes cannot be seen."""
        try:
            there = {name for name in os.listdir(self._proc) if name.isdecimal()}
        except OSError:
            return None
        self._own &= there
        self._others &= there
        new = {name: "".join(_stat(self._proc / name)[1:2]) for name in there - self._own - self._others}
        while found := {name for name, parent in new.items() if parent in self._own} - self._own:
            self._own |= found
        self._others |= new.keys() - self._own
        times = [number for name in self._own for number in _stat(self._proc / name)[11:15] if number.isdecimal()]
        return sum(map(int, times)) if self._own else None


def energy_mj(looks: Iterable[BoardState], nanoseconds: float) -> float | None:
    """Energy of an inference in millijoules: the mean of what the meter showed while inferences ran, times how long
    one takes. All that the meter sees is in it, what the board takes when idle too. None without a meter."""
    watts = [look.power_w for look in looks if look.power_w is not None]
    return statistics.fmean(watts) * nanoseconds * 1e-6 if watts else None


def _numbered(folder: Path, name: str) -> list[Path]:
    """What is called *name* and a number in *folder*, by number."""
    found = [path for path in folder.glob(f"{name}[0-9]*") if path.name.removeprefix(name).isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(name)))


def _one_for_each(paths: Iterable[Path]) -> list[_File]:
    """A file for each of *paths* that is there; cores that change together share one."""
    files: dict[Path, _File] = {}
    return [files.setdefault(path.resolve(), _File(path)) for path in paths if path.is_file()]


def _texts(files: list[_File]) -> Iterator[str]:
    texts = {file: file.text() for file in dict.fromkeys(files)}
    return (texts[file] for file in files)


def _known(values: Sequence[_T]) -> tuple[_T, ...]:
    """Of each core; the one that says nothing has 0, or nothing. Empty when all are like that."""
    return tuple(values) if any(values) else ()


def _throttle_counts(cores: list[Path]) -> Iterator[Path]:
    """Counters of an x86 kernel: one of each core, and one of each package, which all its cores repeat."""
    packages = set()
    for core in cores:
        yield core / "thermal_throttle/core_throttle_count"
        package = _text(core / "topology/physical_package_id")
        if package not in packages:
            packages.add(package)
            yield core / "thermal_throttle/package_throttle_count"


def _temperatures(root: Path) -> list[Path]:
    """Where the processor's temperatures are: those of the best kind that there is."""
    zones = _numbered(root / "sys/class/thermal", "thermal_zone")
    types = {zone: _text(zone / "type").strip().lower() for zone in zones}
    for pattern in _CPU_ZONES:
        if found := [zone / "temp" for zone in zones if re.fullmatch(pattern, types[zone])]:
            return found
    return [sensor / "temp1_input" for sensor in _sensors(root, *_CPU_SENSORS)]


def _sensors(root: Path, *names: str) -> list[Path]:
    sensors = _numbered(root / "sys/class/hwmon", "hwmon")
    return [sensor for sensor in sensors if _text(sensor / "name").strip() in names]


def _celsius(text: str) -> float | None:
    """From millidegrees. Zones of some phones show whole degrees, or 0 for a sensor that is off: those say nothing."""
    value = _whole(text)
    return value / 1000 if value is not None and 1000 <= abs(value) <= 150_000 else None


def _power_source(plugs: list[_File], batteries: list[_File]) -> str | None:
    """A plug that is not plugged in is ``0``, and empty where that is not known."""
    online, states = ([file.text().strip() for file in files] for files in (plugs, batteries))
    if set(online) - {"", "0"}:
        return "mains"
    if "Discharging" in states:
        return "battery"
    if {"Charging", "Full", "Not charging"} & set(states):
        return "mains"
    return "battery" if "0" in online and any(states) else None


def _stat(process: Path) -> list[str]:
    """What stands in proc_pid_stat(5) behind the name, which may hold anything: state, parent, ... and from 11 on
    ``utime``, ``stime`` and the same of children that ended."""
    return _text(process / "stat").rpartition(")")[2].split()


def _text(path: Path) -> str:
    return _File(path).text()


def _watts(answer: str | None) -> float | None:
    """From ``vcgencmd pmic_read_adc``: the sum over the rails whose current and voltage it knows."""
    found = re.findall(r"(\S+)_([AV]) +(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]\b", answer or "")
    amperes = {rail: float(value) for rail, unit, value in found if unit == "A"}
    volts = {rail: float(value) for rail, unit, value in found if unit == "V"}
    rails = amperes.keys() & volts.keys()
    return sum(amperes[rail] * volts[rail] for rail in sorted(rails)) if rails else None


def _whole(text: str) -> int | None:
    found = re.fullmatch(r"-?[0-9]{1,18}", text.strip())
    return int(found[0]) if found else None


def _hexadecimal(text: str) -> int | None:
    found = re.fullmatch(r"[0-9a-fA-F]{1,8}", text.strip())
    return int(found[0], 16) if found else None


def _hertz(kilohertz: str) -> int:
    """0 when that is no number."""
    return 1000 * min(max(0, _whole(kilohertz) or 0), _MOST_KILOHERTZ)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _share(value: float) -> float:
    """Between 0 and 1: idle time is known to go back a little on some kernels."""
    return min(max(value, 0.0), 1.0)
