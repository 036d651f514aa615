"""What phones of several makers say of themselves, as texts that their shells print."""

from __future__ import annotations

import pytest

from edgekit.devices.adb import phone
from edgekit.devices.adb.phone import (
    Phone,
    read_battery_percent,
    read_phone,
    read_power_source,
    read_state,
    read_thermal,
)
from edgekit.errors import DeviceError
from edgekit.runtime.machine import Cluster

#: A Pixel: temperatures of clusters, sensors that are off, thresholds that look like temperatures.
_PIXEL = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
	killed: false
	broadcasts count: -1
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=71.0, mType=0, mName=BIG, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
	Temperature{mValue=36.0, mType=0, mName=LITTLE, mStatus=0}
	Temperature{mValue=39.5, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=0.0, mType=0, mName=TPU, mStatus=0}
	Temperature{mValue=55.0, mType=1, mName=G3D, mStatus=0}
	Temperature{mValue=NaN, mType=0, mName=MID, mStatus=0}
	Temperature{mValue=30.1, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
	TemperatureThreshold{mType=0, mName=BIG, mHotThrottlingThresholds=[NaN, 95.0]}
"""
#: A vendor that gives the processor a kind of its own.
_GALAXY = """\
Thermal Status: 3
Cached temperatures:
	Temperature{mValue=45.6, mType=-1, mName=AP, mStatus=3}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=47.3, mType=-1, mName=AP, mStatus=3}
	Temperature{mValue=33.0, mType=2, mName=BAT, mStatus=0}
	Temperature{mValue=41.0, mType=3, mName=SKIN, mStatus=3}
Current cooling devices from HAL:
"""
_NO_HAL = "IsStatusOverride: false\nThermal Status: 1\nCached temperatures:\n\tTemperature{mValue=50.0, mType=0, mName=CPU0, mStatus=1}\nHAL Ready: false\n"  # noqa: E501


@pytest.mark.parametrize(
    ("text", "status", "celsius"),
    [(_PIXEL, 0, 39.5), (_GALAXY, 3, 47.3), (_NO_HAL, 1, None), ("Can't find service: thermalservice\n", None, None)],
)
def test_heat_is_what_the_hardware_shows_now(text: str, status: int | None, celsius: float | None) -> None:
    assert read_thermal(text) == (status, celsius)


_BATTERY = """\
Current Battery Service state:
  AC powered: {ac}
  USB powered: {usb}
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  status: {status}
  level: 83
  scale: {scale}
  temperature: 298
"""


@pytest.mark.parametrize(
    ("ac", "usb", "status", "source"),
    [
        ("true", "false", 2, "mains"),
        ("false", "true", 4, "mains"),
        ("false", "false", 3, "battery"),
        ("false", "false", 5, "battery"),
    ],
)
def test_power_comes_from_what_is_plugged_in(ac: str, usb: str, status: int, source: str) -> None:
    assert read_power_source(_BATTERY.format(ac=ac, usb=usb, status=status, scale=100)) == source


@pytest.mark.parametrize(
    ("text", "source"), [("  status: 3\n", "battery"), ("  status: 2\n", "mains"), ("  status: 1\n", None), ("", None)]
)
def test_power_where_only_the_battery_tells(text: str, source: str | None) -> None:
    assert read_power_source(text) == source


def test_the_battery_counts_in_its_own_scale() -> None:
    assert read_battery_percent(_BATTERY.format(ac="true", usb="true", status=2, scale=100)) == 83
    assert read_battery_percent("  level: 128\n  scale: 255\n") == pytest.approx(50.2, abs=0.01)
    assert read_battery_percent("  level: 1\n  scale: 0\n") is None
    assert read_battery_percent("") is None


def _core(number: int, implementer: str, part: str, features: str) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 49.15\nFeatures\t: {features}\nCPU implementer\t: {implementer}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}\nCPU revision\t: 0\n\n"
    )


_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp i8mm bf16"


def _facts(
    *, abilist: str = "arm64-v8a", kernel: str = "aarch64", lacking: str = "", sdk: int = 34, page: str = "4 kB"
) -> str:
    """Of a phone with nine cores of three kinds, one of which is switched off."""
    kinds = {number: "0xd46" if number < 4 else "0xd4d" if number < 8 else "0xd4e" for number in range(9)}
    cpuinfo = "".join(_core(number, "0x41", part, _FEATURES) for number, part in kinds.items() if number != 3)
    highest = {number: 1704000 if number < 4 else 2367000 if number < 8 else 2914000 for number in range(9)}
    cores = "".join(f"{number}|{hertz}|{hertz}|{hertz}|sched_pixel\n" for number, hertz in highest.items())
    properties = {
        "ro.product.manufacturer": "Google",
        "ro.product.model": "Pixel 8",
        "ro.soc.manufacturer": "Google",
        "ro.soc.model": "Tensor G3",
        "ro.build.version.release": "14",
        "ro.build.version.sdk": str(sdk),
        "ro.product.cpu.abilist": abilist,
    }
    sections = {
        "properties": "".join(f"[{name}]: [{value}]\r\n" for name, value in properties.items()),
        "kernel_architecture": kernel,
        "cpuinfo": cpuinfo,
        "meminfo": "MemTotal:        7724000 kB\nMemAvailable:    3500000 kB\n",
        "page": f"KernelPageSize:        {page}",
        "disk": "Filesystem       1K-blocks     Used Available Use% Mounted on\n/dev/block/dm-45 112345678 45678 66666 1% /data\n",  # noqa: E501
        "lacking": lacking,
        "cores": cores,
    }
    return "".join(f"\n== {name}\n{text}\n" for name, text in sections.items())


def test_a_phone_with_three_kinds_of_core() -> None:
    found = read_phone("adb:1", _facts())
    assert (found.android, found.sdk, found.free_disk_bytes) == ("14", 34, 66666 * 1024)
    machine = found.machine
    assert (machine.board, machine.os) == ("Google Pixel 8 (Google Tensor G3)", "Android 14 (API 34)")
    assert (machine.architecture, machine.python, machine.glibc, machine.page_bytes) == ("aarch64", None, None, 4096)
    assert machine.cpu == "cortex-a510 + cortex-a715 + cortex-x3"
    assert machine.features == ("neon", "fp16", "dotprod", "i8mm", "bf16")
    assert machine.free_memory_bytes == 3500000 * 1024
    assert machine.clusters == (
        Cluster((0, 1, 2, 3), "cortex-a510", 1_704_000_000),
        Cluster((4, 5, 6, 7), "cortex-a715", 2_367_000_000),
        Cluster((8,), "cortex-x3", 2_914_000_000),
    )


def test_pages_of_16_kib_are_seen() -> None:
    assert read_phone("adb:1", _facts(page="16 kB")).machine.page_bytes == 16384


@pytest.mark.parametrize(
    ("maker", "model", "board"),
    [
        ("samsung", "SM-S921B", "Samsung SM-S921B (Google Tensor G3)"),
        ("OnePlus", "OnePlus 12", "OnePlus 12 (Google Tensor G3)"),
        ("Xiaomi", "2201117TY", "Xiaomi 2201117TY (Google Tensor G3)"),
    ],
)
def test_makers_are_named_once(maker: str, model: str, board: str) -> None:
    text = _facts().replace(
        "manufacturer]: [Google]\r\n[ro.product.model]: [Pixel 8]",
        f"manufacturer]: [{maker}]\r\n[ro.product.model]: [{model}]",
    )
    assert read_phone("adb:1", text).machine.board == board


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"abilist": "armeabi-v7a,armeabi", "kernel": "armv8l"}, "no 64-bit Arm phone (armv8l"),
        ({"abilist": "armeabi-v7a,armeabi"}, "no 64-bit Arm phone (aarch64, programs: armeabi-v7a"),
        ({"abilist": "x86_64,arm64-v8a", "kernel": "x86_64"}, "no 64-bit Arm phone (x86_64"),
        ({"sdk": 25}, "Android 14 (API 25)"),
        ({"lacking": "sha256sum\nfind"}, "lacks sha256sum, find"),
    ],
)
def test_what_the_runner_is_not_made_for_is_refused(facts: dict[str, str], reason: str) -> None:
    with pytest.raises(DeviceError) as caught:
        read_phone("adb:1", _facts(**facts))  # type: ignore[arg-type]
    assert caught.value.code == "EK-DEVICE" and reason in caught.value.message
    assert "edgekit phone" in (caught.value.hint or "")


def test_an_unreadable_description_is_said() -> None:
    with pytest.raises(DeviceError, match="unreadable"):
        read_phone("adb:1", "sh: something else\n")


def _look(stat: str, stat_after: str, limit: int = 2914000) -> str:
    cores = f"0|1704000|1704000|300000|walt\n1|2914000|{limit}|2400000|walt\n"
    return (
        f"\n== stat\n{stat}\n\n== uptime\n1000.5 7000.1\n\n== cores\n{cores}\n== thermal\n{_GALAXY}\n"
        f"== battery\n\n== stat_after\n{stat_after}\n"
    )


def test_a_look_has_clocks_heat_and_the_load_since_the_look_before() -> None:
    before = _look("cpu  0 0 0 0 0 0 0 0 0 0", "cpu  100 0 100 800 0 0 0 0 0 0")
    now = _look("cpu  160 0 120 820 0 0 0 0 0 0", "cpu  900 0 900 900 0 0 0 0 0 0", limit=1800000)
    state = read_state(now, before)
    assert (state.at_s, state.frequencies_hz) == (1000.5, (300_000_000, 2_400_000_000))
    assert (state.frequency_limit_hz, state.governors) == (1_800_000_000, ("walt", "walt"))
    assert (state.thermal_status, state.temperature_celsius) == (3, 47.3)
    assert state.load_per_core == pytest.approx(0.8)
    assert read_state(now).load_per_core is None


def test_a_phone_that_shows_nothing_still_has_a_state() -> None:
    state = read_state("\n== uptime\n\n== stat\n\n== meminfo\n\n== cores\n0||||\n\n== thermal\n\n== battery\n")
    assert (state.frequencies_hz, state.governors, state.frequency_limit_hz) == ((), (), None)
    assert (state.temperature_celsius, state.thermal_status, state.power_source) == (None, None, None)


def test_facts_ask_for_nothing_personal() -> None:
    assert not any(word in phone.FACTS for word in ("serialno", "imei", "account", "android_id", "wifi"))
    assert isinstance(read_phone("adb:1", _facts()), Phone)
