"""Machines that are not there: the files that kernels show of them, sensors that follow a script, and a clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.records import BoardState

#: What ``vcgencmd pmic_read_adc`` prints on a Raspberry Pi 5, shortened: 0.93 A at 0.72 V and 0.13 A at 3.3 V; rails
#: without the one or the other do not count.
PMIC = """\
  VDD_CORE_A current(7)=0.93000000A
   3V3_SYS_A current(1)=0.13000000A
      HDMI_A current(22)=0.02551890A
  VDD_CORE_V volt(15)=0.72000000V
   3V3_SYS_V volt(9)=3.30000000V
     EXT5V_V volt(24)=5.14158000V
      BATT_V volt(25)=0.00341880V
"""
PMIC_W = 0.93 * 0.72 + 0.13 * 3.3

#: The process of the test on a made-up machine, and one that it started.
OWN, CHILD = 700, 731


class FakeMachine:
    """Files below *root*, as a kernel shows them."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, files: dict[str, str]) -> FakeMachine:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self

    def cores(self, hertz: Sequence[int], governor: str, *, together: bool) -> FakeMachine:
        """Cores at these frequencies; *together* when they have one policy, which each links to."""
        cpu = self.root / "sys/devices/system/cpu"
        for number, value in enumerate(hertz):
            policy = cpu / f"cpufreq/policy{0 if together else number}"
            policy.mkdir(parents=True, exist_ok=True)
            (policy / "scaling_cur_freq").write_text(f"{value // 1000}\n")
            (policy / "scaling_max_freq").write_text(f"{value // 1000}\n")
            (policy / "scaling_governor").write_text(f"{governor}\n")
            (cpu / f"cpu{number}").mkdir()
            (cpu / f"cpu{number}/cpufreq").symlink_to(f"../cpufreq/{policy.name}")
        return self

    def zones(self, *zones: tuple[str, int]) -> FakeMachine:
        for number, (type_, millidegrees) in enumerate(zones):
            zone = f"sys/class/thermal/thermal_zone{number}"
            self.write({f"{zone}/type": f"{type_}\n", f"{zone}/temp": f"{millidegrees}\n"})
        return self

    def ticks(self, *, user: int, idle: int, waiting: int = 0, own: int = 0, child: int = 0) -> FakeMachine:
        """Clock ticks since the start: busy and idle ones of the machine, those of this process and of its child."""
        times = f"{user} 0 0 {idle} {waiting} 0 0 0 0 0"
        self.write(
            {
                "proc/stat": f"cpu  {times}\ncpu0 {times}\nintr 5\n",
                "proc/1/stat": "1 (init) S 0 1 1 0 -1 0 0 0 0 0 9999 9999 9999 9999 20 0",
                f"proc/{OWN}/stat": f"{OWN} (python) R 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0 20 0",
                f"proc/{CHILD}/stat": f"{CHILD} (engine) 7 x) S {OWN} 1 1 0 -1 0 0 0 0 0 0 {child} 0 0 20 0",
            }
        )
        link = self.root / "proc/self"
        if not link.is_symlink():
            os.symlink(str(OWN), link)
        return self

    def board(self, vcgencmd: Callable[[str], str | None] = lambda command: None) -> Board:
        return Board(self.root, clock=lambda: 7.0, vcgencmd=vcgencmd)


def raspberry_pi_4(root: Path) -> FakeMachine:
    machine = FakeMachine(root).cores([1_800_000_000] * 4, "ondemand", together=True).zones(("cpu-thermal", 48686))
    return machine.write(
        {
            "proc/meminfo": "MemTotal:        3884404 kB\nMemFree:          102400 kB\nMemAvailable:    3145728 kB\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
            "sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        }
    ).ticks(user=100, idle=1000)


def raspberry_pi_5(root: Path) -> FakeMachine:
    machine = FakeMachine(root).cores([2_400_000_000] * 4, "schedutil", together=True).zones(("cpu-thermal", 61300))
    return machine.write(
        {
            "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "0\n",
            "sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        }
    ).ticks(user=100, idle=1000)


def phone(root: Path) -> FakeMachine:
    """Two kinds of core, a sensor for each, one of them off, and a battery."""
    machine = FakeMachine(root).cores([1_800_000_000, 3_000_000_000], "walt", together=False)
    machine.zones(("battery", 31000), ("cpu-0-0", 52100), ("cpu-1-0", 58400), ("cpu-1-1", 0), ("gpuss-0", 71000))
    return machine.write(
        {
            "sys/class/power_supply/battery/type": "Battery\n",
            "sys/class/power_supply/battery/status": "Discharging\n",
            "sys/class/power_supply/usb/type": "USB\n",
            "sys/class/power_supply/usb/online": "0\n",
        }
    ).ticks(user=100, idle=1000)


def laptop(root: Path) -> FakeMachine:
    """An x86 processor with turbo, plugged in, with a mouse that is not."""
    machine = FakeMachine(root).cores([4_700_000_000, 800_000_000], "powersave", together=False)
    machine.zones(("acpitz", 27800), ("x86_pkg_temp", 66000))
    for core in (0, 1):
        cpu = f"sys/devices/system/cpu/cpu{core}"
        machine.write(
            {
                f"{cpu}/thermal_throttle/core_throttle_count": "2\n",
                f"{cpu}/thermal_throttle/package_throttle_count": "5\n",
                f"{cpu}/topology/physical_package_id": "0\n",
            }
        )
    return machine.write(
        {
            "sys/class/power_supply/AC/type": "Mains\n",
            "sys/class/power_supply/AC/online": "1\n",
            "sys/class/power_supply/BAT0/type": "Battery\n",
            "sys/class/power_supply/BAT0/status": "Not charging\n",
            "sys/class/power_supply/hid-mouse/type": "Battery\n",
            "sys/class/power_supply/hid-mouse/scope": "Device\n",
            "sys/class/power_supply/hid-mouse/status": "Discharging\n",
        }
    ).ticks(user=100, idle=1000)


class FakeClock:
    """Goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


class FakeBoard(Board):
    """Shows *states* one after the other, then the last again and again; or what a function makes of the time."""

    def __init__(
        self,
        states: Iterable[BoardState] | Callable[[float], BoardState],
        clock: Callable[[], float],
        energy_reason: str = "a made-up board has no meter",
    ):
        self.energy_reason = energy_reason
        self.looks = 0
        self._states = states if callable(states) else list(states)
        self._now = clock

    def look(self, *, meter: bool = False) -> BoardState:
        self.looks += 1
        if callable(self._states):
            state = self._states(self._now())
        else:
            state = self._states[min(self.looks, len(self._states)) - 1]
        return replace(state, at_s=self._now(), power_w=state.power_w if meter else None)
