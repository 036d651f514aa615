"""What adb and phones may say: one error, or a fact less, in no time and for no memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import hostile_adb
from support.hostile_adb import ANSWERS, DEVICES
from support.interruption import interrupted

from edgekit.cli.main import run
from edgekit.devices.adb import listing, phone
from edgekit.devices.adb.connection import Connection
from edgekit.errors import DeviceError

Use = Callable[[str], None]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes ``adb`` what does the mode that is named."""

    def place(mode: str) -> None:
        program = tmp_path / "adb"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {hostile_adb.__file__} '{mode}' \"$@\"\n")
        program.chmod(0o755)
        monkeypatch.setenv("EDGEKIT_ADB", str(program))

    monkeypatch.setattr(listing, "_PATIENCE_S", 0.0)
    return place


def refused(work: Callable[[], object]) -> DeviceError:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(DeviceError) as caught:
        work()
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert caught.value.code == "EK-CONNECT"
    assert caught.value.message.isprintable() and len(caught.value.message) <= 2000
    return caught.value


@pytest.mark.parametrize("mode", DEVICES)
def test_phones_that_are_listed_so_are_none(use: Use, mode: str) -> None:
    use(mode)
    refused(lambda: listing.find("FAKE"))


@pytest.mark.parametrize("mode", [mode for mode in ANSWERS if mode != "with escapes in its errors"])
def test_a_phone_that_answers_so_is_lost(use: Use, mode: str) -> None:
    use(mode)
    refused(lambda: Connection("adb:FAKE", "FAKE").ask("getprop"))


def test_what_adb_says_against_a_phone_is_shown_harmlessly(use: Use, capfd: pytest.CaptureFixture[str]) -> None:
    use("with escapes in its errors")
    assert run(["doctor", "adb:FAKE"]) == 4
    said = capfd.readouterr()
    assert said.out == "" and "error: \\x1b[2J\\x1b]0;owned\\x07\\x9b" in said.err
    assert all(line.isprintable() for line in said.err.splitlines())


def test_a_file_is_no_longer_than_it_was_to_be(use: Use) -> None:
    use("at random")
    refused(lambda: Connection("adb:FAKE", "FAKE").fetch("/data/local/tmp/x", 100_000))


@pytest.mark.parametrize("mode", ["devices in silence", "in silence"])
def test_ctrl_c_is_heard_while_it_is_silent(use: Use, mode: str) -> None:
    use(mode)
    assert interrupted(lambda: Connection("adb:FAKE", listing.find("FAKE")).ask("getprop")) < 2


_FACTS = {
    "properties": "[ro.product.manufacturer]: [Fake]\n[ro.product.model]: [M]\n[ro.build.version.release]: [14]\n"
    "[ro.build.version.sdk]: [34]\n[ro.product.cpu.abilist]: [arm64-v8a]",
    "kernel_architecture": "aarch64",
    "cpuinfo": "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd05\n",
    "meminfo": "MemTotal: 4000000 kB\nMemAvailable: 2000000 kB",
    "page": "KernelPageSize: 4 kB",
    "disk": "Filesystem 1K Used Avail Use% M\n/d 100 50 9000000 5% /data",
    "lacking": "",
    "cores": "0|1800000|1800000|600000|schedutil",
    "stat": "cpu 1 2 3 4 5 6 7 8",
    "uptime": "1.0 2.0",
    "thermal": "Thermal Status: 0\nCurrent temperatures from HAL:\n\tTemperature{mValue=40.0, mType=0, mName=CPU}\n",
    "battery": "level: 80\nstatus: 2",
    "stat_after": "cpu 2 3 4 5 6 7 8 9",
}
_NINES = "9" * 5000
_ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b\u202e"
_SHOWN = "\\x1b[2J\\x1b]0;owned\\x07\\x9b\\u202e"


def told(section: str, text: str) -> str:
    return "".join(f"\n== {name}\n{body}\n" for name, body in {**_FACTS, section: text}.items())


@pytest.mark.parametrize(
    ("section", "text", "field", "value"),
    [
        ("properties", f"[ro.build.version.sdk]: [{_NINES}]", "sdk", 0),
        ("properties", "[ro.build.version.sdk]: [34", "sdk", 0),
        ("properties", f"[ro.build.version.sdk]: [34]\n[{']: [' * 100_000}", "sdk", 34),
        ("properties", f"[ro.product.model]: [M{_ESCAPES}]", "machine.board", f"M{_SHOWN}"),
        ("properties", f"[ro.build.version.release]: [{_ESCAPES}]", "android", _SHOWN),
        ("properties", f"[ro.product.model]: [{'A' * 500_000}]", "machine.page_bytes", 4096),
        ("properties", "[ro.product.model]: [M]\n[ro.serialno]: [SECRET]", "machine.board", "M"),
        ("page", f"KernelPageSize: {_NINES} kB", "machine.page_bytes", 4096),
        ("page", "KernelPageSize: 0 kB", "machine.page_bytes", 4096),
        ("page", "KernelPageSize: 5 kB", "machine.page_bytes", 4096),
        ("page", "KernelPageSize: 16 kB", "machine.page_bytes", 16384),
        ("disk", f"1 2 {_NINES} 5%", "free_disk_bytes", None),
        ("disk", "df: no such file", "free_disk_bytes", None),
        ("disk", "x -5 5%", "free_disk_bytes", None),
        ("meminfo", f"MemTotal: {_NINES} kB", "machine.memory_bytes", None),
        ("meminfo", "MemTotal: -4 kB\nMemAvailable: 2000000 kB", "machine.free_memory_bytes", 2000000 * 1024),
        ("cpuinfo", "processor : 0\nCPU implementer : 0x41\nCPU part : 0xzz", "machine.cpu", "0xzz"),
        ("cpuinfo", "processor : 0\nCPU implementer : x\nCPU part : \x1b[2J", "machine.cpu", "\\x1b[2J"),
        ("cpuinfo", f"processor : {_NINES}", "machine.cores", 1),
        ("cpuinfo", "processor : 0\n" * 50_000, "machine.cores", 4096),
        ("cpuinfo", "processor" + " " * 500_000, "machine.cores", 1),
        ("cpuinfo", "processor :" + " " * 500_000 + "\nFeatures : asimd", "machine.features", ("neon",)),
        ("cores", "0|1|2", "machine.clusters", ()),
        ("cores", "nonsense", "machine.clusters", ()),
        ("cores", f"0|{'9' * 400}|2|3|g", "machine.clusters.0.frequency_hz", None),
        ("cores", f"{_NINES}|1|1|1|g\n0|1800000|1|1|g", "machine.clusters.0.cpus", (0,)),
        ("cores", "0|1800000|1|1|g\n0|9|9|9|g", "machine.clusters.0.frequency_hz", 1_800_000_000),
        ("cores", "\n".join(f"{number}|1|1|1|g" for number in range(50_000)), "machine.cores", 1),
        ("lacking", f"cat{_ESCAPES} {'x' * 200_000}", "sdk", 34),
        ("lacking", "\n== cpuinfo\nprocessor : 0\nprocessor : 1", "machine.cores", 1),
    ],
)
def test_a_fact_that_cannot_be_is_unknown_and_the_phone_is_kept(
    section: str, text: str, field: str, value: object
) -> None:
    began = time.process_time()
    found: object = phone.read_phone("adb:FAKE", told(section, text))
    for name in field.split("."):
        found = found[int(name)] if name.isdecimal() else getattr(found, name)  # type: ignore[index]
    assert found == value
    assert time.process_time() - began < 2


def test_the_phone_without_odd_facts() -> None:
    state = phone.read_state(told("uptime", "1.0 2.0"))
    assert (state.at_s, state.temperature_celsius, state.thermal_status, state.battery_percent) == (1.0, 40.0, 0, 80.0)
    assert (state.frequencies_hz, state.governors, state.power_source) == ((600_000_000,), ("schedutil",), "mains")


#: Of a look at a phone: what stands in a section, and what is unknown then.
_LOOKS = [
    ("thermal", f"Thermal Status: {_NINES}", {"thermal_status": None, "temperature_celsius": None}),
    ("thermal", "Thermal Status: 7", {"thermal_status": None, "temperature_celsius": None}),
    (
        "thermal",
        "Current temperatures from HAL:\n" + "Temperature{" * 60_000,
        {"thermal_status": None, "temperature_celsius": None},
    ),
    ("thermal", "\n" * 500_000, {"thermal_status": None, "temperature_celsius": None}),
    (
        "thermal",
        f"Thermal Status: 0\nCurrent temperatures from HAL:\n\tTemperature{{mValue={_NINES}, mType=0}}",
        {"temperature_celsius": None},
    ),
    (
        "thermal",
        f"Thermal Status: 0\nCurrent temperatures from HAL:\n\tTemperature{{mValue=40, mName={'cpu-' * 50_000}}}",
        {"temperature_celsius": 40.0},
    ),
    ("battery", f"level: {_NINES}\nstatus: 2", {"battery_percent": None}),
    ("battery", "level: 5\nscale: 0\nstatus: 2", {"battery_percent": None}),
    ("battery", "level: 101\nstatus: 2", {"battery_percent": None}),
    ("battery", f"level: {'9' * 400}\nstatus: {_ESCAPES}", {"battery_percent": None, "power_source": None}),
    ("uptime", "9" * 400, {"at_s": 0.0}),
    ("uptime", "nan", {"at_s": 0.0}),
    ("uptime", "-1.0", {"at_s": 0.0}),
    ("cores", "0|1|2", {"frequencies_hz": (), "governors": (), "frequency_limit_hz": None}),
    ("cores", f"0|1800000|1800000|600000|{_ESCAPES}", {"governors": ()}),
    ("cores", f"0|1800000|1800000|{_NINES}|schedutil", {"frequencies_hz": ()}),
    ("meminfo", f"MemAvailable: {_NINES} kB", {"free_memory_bytes": None}),
    ("stat", f"cpu {' '.join([_NINES] * 8)}", {"load_per_core": None}),
    ("stat", "cpu", {"load_per_core": None}),
]


@pytest.mark.parametrize(("section", "text", "unknown"), _LOOKS)
def test_a_look_without_what_cannot_be(section: str, text: str, unknown: dict[str, object]) -> None:
    before = told("stat", "cpu 1 2 3 4 5 6 7 8")
    whole = phone.read_state(before, before)
    began = time.process_time()
    found = phone.read_state(told(section, text), before)
    assert time.process_time() - began < 2
    assert found == replace(whole, **unknown)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [20_000, 80_000])
def test_time_grows_with_the_length_of_what_is_said(count: int) -> None:
    """Of what is quadratic, even the shorter one would take minutes."""
    texts = [
        "a" + " " * count + "x",
        "[" + "]: [" * count,
        "\n" * count,
        "Temperature{" * count,
        "== " + "a" * count + "!",
    ]
    began = time.process_time()
    for text in texts:
        listing.read(text)
        phone.read_thermal(f"Current temperatures from HAL:\n{text}")
        phone.read_state(f"== thermal\n{text}")
        for section in _FACTS:
            if section != "kernel_architecture":
                phone.read_phone("adb:FAKE", told(section, text))
    assert time.process_time() - began < 10
