"""A machine's state: what is read of different kinds of machine, and what of broken ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_board import (
    PMIC,
    PMIC_W,
    FakeMachine,
    laptop,
    phone,
    raspberry_pi_4,
    raspberry_pi_5,
)

from edgekit.runtime.profiler.board import Board, ask_firmware, energy_mj
from edgekit.runtime.profiler.records import BoardState


def firmware(answers: dict[str, str]) -> Callable[[str], str | None]:
    """A ``vcgencmd`` with these answers."""
    return lambda command: answers.get(command)


def nothing(at_s: float = 7.0) -> BoardState:
    return BoardState(at_s=at_s)


def test_a_raspberry_pi_4(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    board = machine.board()
    machine.ticks(user=130, idle=1070)
    assert board.look() == BoardState(
        at_s=7.0,
        frequencies_hz=(1_800_000_000,) * 4,
        frequency_limit_hz=1_800_000_000,
        governors=("ondemand",) * 4,
        temperature_celsius=48.686,
        throttled=0x50000,
        load_per_core=0.3,
        others_load_per_core=0.3,
        free_memory_bytes=3 << 30,
    )
    assert "Raspberry Pi 5" in board.energy_reason


def test_a_raspberry_pi_5_has_a_meter_which_is_read_on_request_only(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path).board(firmware({"pmic_read_adc": PMIC}))
    assert board.energy_reason == ""
    state = board.look()
    assert (state.temperature_celsius, state.throttled, state.power_w) == (61.3, 0, None)
    assert board.look(meter=True).power_w == pytest.approx(PMIC_W)


def test_a_raspberry_pi_5_whose_meter_is_silent_says_what_to_do(tmp_path: Path) -> None:
    board = raspberry_pi_5(tmp_path).board()
    assert "group video" in board.energy_reason
    assert board.look(meter=True).power_w is None


@pytest.mark.parametrize("answer", ['error=1 error_msg="Command not registered"\n', "", "VDD_CORE_A current(7)=0.9A"])
def test_firmware_without_a_meter_gives_no_figure(tmp_path: Path, answer: str) -> None:
    board = raspberry_pi_4(tmp_path).board(firmware({"pmic_read_adc": answer}))
    assert board.look(meter=True).power_w is None
    assert board.energy_reason != ""


def test_throttling_is_asked_of_the_firmware_where_the_kernel_does_not_show_it(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    shutil.rmtree(tmp_path / "sys/devices/platform")
    assert machine.board(firmware({"get_throttled": "throttled=0x50005\n"})).look().throttled == 0x50005


@pytest.mark.parametrize("answer", [None, "", "throttled=", "error=2", "VCHI initialization failed"])
def test_firmware_that_does_not_answer_is_asked_once(tmp_path: Path, answer: str | None) -> None:
    asked: list[str] = []

    def vcgencmd(command: str) -> str | None:
        asked.append(command)
        return answer

    board = FakeMachine(tmp_path).board(vcgencmd)
    assert [board.look().throttled for _ in range(3)] == [None] * 3
    assert asked == ["get_throttled"]


@pytest.mark.parametrize(("alarm", "bits"), [("0\n", None), ("1\n", 0x10000), ("", None)])
def test_a_kernel_that_only_watches_the_voltage(tmp_path: Path, alarm: str, bits: int | None) -> None:
    machine = raspberry_pi_4(tmp_path)
    shutil.rmtree(tmp_path / "sys/devices/platform")
    hwmon = "sys/class/hwmon/hwmon1"
    machine.write({f"{hwmon}/name": "rpi_volt\n", f"{hwmon}/in0_lcrit_alarm": alarm})
    assert machine.board().look().throttled == bits


def test_a_phone_is_as_hot_as_the_hottest_core_that_tells(tmp_path: Path) -> None:
    state = phone(tmp_path).board().look()
    assert state.temperature_celsius == 58.4
    assert state.frequencies_hz == (1_800_000_000, 3_000_000_000)
    assert state.frequency_limit_hz == 3_000_000_000
    assert state.power_source == "battery"


def test_a_laptop_counts_how_often_it_was_too_hot(tmp_path: Path) -> None:
    state = laptop(tmp_path).board().look()
    assert state.temperature_celsius == 66.0
    assert state.throttle_count == 2 + 2 + 5
    assert state.throttled is None
    assert state.power_source == "mains"


def test_an_amd_processor_has_its_temperature_elsewhere(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path).zones(("acpitz", 16800))
    machine.write({"sys/class/hwmon/hwmon0/name": "nvme\n", "sys/class/hwmon/hwmon0/temp1_input": "38850\n"})
    machine.write({"sys/class/hwmon/hwmon1/name": "k10temp\n", "sys/class/hwmon/hwmon1/temp1_input": "54250\n"})
    assert machine.board().look().temperature_celsius == 54.25


@pytest.mark.parametrize(
    ("mains", "battery", "source"),
    [
        ("1", "Charging", "mains"),
        ("1", "Discharging", "mains"),
        ("0", "Discharging", "battery"),
        ("0", "Unknown", "battery"),
        (None, "Discharging", "battery"),
        (None, "Full", "mains"),
        (None, "Unknown", None),
        ("0", None, None),
        (None, None, None),
    ],
)
def test_power_source(tmp_path: Path, mains: str | None, battery: str | None, source: str | None) -> None:
    machine = FakeMachine(tmp_path)
    supplies = "sys/class/power_supply"
    if mains is not None:
        machine.write({f"{supplies}/ADP1/type": "Mains\n", f"{supplies}/ADP1/online": f"{mains}\n"})
    if battery is not None:
        machine.write({f"{supplies}/BAT0/type": "Battery\n", f"{supplies}/BAT0/status": f"{battery}\n"})
    assert machine.board().look().power_source == source


def test_each_look_tells_what_changed_since_the_one_before(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    board = machine.board()
    machine.ticks(user=200, idle=1000)
    first = board.look()
    machine.ticks(user=225, idle=1075).cores([], "ondemand", together=True)
    (tmp_path / "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq").write_text("600000\n")
    machine.zones(("cpu-thermal", 82700))
    second = board.look()
    assert (first.load_per_core, second.load_per_core) == (1.0, 0.25)
    assert second.frequencies_hz == (600_000_000,) * 4
    assert second.temperature_celsius == 82.7


def test_waiting_for_a_disk_is_idle_time(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    board = machine.board()
    machine.ticks(user=110, idle=1010, waiting=80)
    assert board.look().load_per_core == 0.1


def test_two_looks_within_a_clock_tick_have_no_load_and_lose_none(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    board = machine.board()
    assert board.look().load_per_core is None
    machine.ticks(user=150, idle=1050)
    assert board.look().load_per_core == 0.5


def test_the_load_of_others_is_what_neither_this_process_nor_its_children_did(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path).ticks(user=100, idle=1000, own=10, child=50)
    board = machine.board()
    machine.ticks(user=180, idle=1020, own=20, child=110)
    state = board.look()
    assert state.load_per_core == pytest.approx(0.8)
    assert state.others_load_per_core == pytest.approx(0.1)


def test_a_child_that_was_started_since_is_no_other(tmp_path: Path) -> None:
    machine = raspberry_pi_4(tmp_path)
    hidden = tmp_path / "hidden"
    (tmp_path / "proc/731").rename(hidden)
    board = machine.board()
    hidden.rename(tmp_path / "proc/731")
    machine.ticks(user=180, idle=1020, child=80)
    assert board.look().others_load_per_core == 0.0


def test_a_core_that_is_switched_off_keeps_its_place(tmp_path: Path) -> None:
    machine = phone(tmp_path)
    board = machine.board()
    (tmp_path / "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq").write_text("")
    assert board.look().frequencies_hz == (0, 3_000_000_000)


def test_nothing_readable_is_no_error(tmp_path: Path) -> None:
    board = FakeMachine(tmp_path).board()
    assert board.look(meter=True) == nothing()
    assert board.energy_reason != ""


@pytest.mark.parametrize("make", [raspberry_pi_4, raspberry_pi_5, phone, laptop])
def test_files_that_vanish_are_no_error(tmp_path: Path, make: Callable[[Path], FakeMachine]) -> None:
    board = make(tmp_path).board()
    shutil.rmtree(tmp_path)
    assert board.look() == nothing()


@pytest.mark.parametrize("make", [raspberry_pi_4, raspberry_pi_5, phone, laptop])
def test_directories_in_place_of_files_are_no_error(tmp_path: Path, make: Callable[[Path], FakeMachine]) -> None:
    machine = make(tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]:
        path.unlink()
        path.mkdir()
    assert machine.board().look() == nothing()


@pytest.mark.parametrize("make", [raspberry_pi_4, laptop])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_the_files_a_look_is_a_look(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], FakeMachine], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("machine")
    machine = make(root)
    early = data.draw(st.booleans())
    board = None if early else machine.board(lambda _: data.draw(st.text()))
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        if data.draw(st.booleans()):
            path.write_bytes(data.draw(st.binary(max_size=30) | st.from_regex(rb"-?[0-9]+\n?", fullmatch=True)))
    state = (board or machine.board(lambda _: data.draw(st.text()))).look(meter=True)
    assert all(isinstance(value, int) and value >= 0 for value in state.frequencies_hz)
    assert state.temperature_celsius is None or -150 <= state.temperature_celsius <= 150
    assert state.throttled is None or state.throttled >= 0
    assert state.power_w is None or state.power_w >= 0
    for load in (state.load_per_core, state.others_load_per_core):
        assert load is None or 0 <= load <= 1


def test_this_machine() -> None:
    board = Board()
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.5)
        state = board.look()
    finally:
        child.kill()
        child.wait()
    assert state.free_memory_bytes is not None
    assert state.free_memory_bytes > 1 << 20
    assert state.load_per_core is not None
    assert state.others_load_per_core is not None
    # The child had some of a core, which is not the others'.
    assert 0 < state.load_per_core - state.others_load_per_core <= 1
    assert len(state.frequencies_hz) in (0, os.cpu_count())
    assert len(state.governors) in (0, os.cpu_count())


def test_looks_leave_no_files_open_behind() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    for _ in range(20):
        Board().look()
    assert open_files() == before


def test_firmware_is_asked_by_the_tool_of_raspberry_pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "vcgencmd"
    tool.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo "throttled=0x4" && exit\nexit 255\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ask_firmware("get_throttled") == "throttled=0x4\n"
    assert ask_firmware("no_such_command") is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert ask_firmware("get_throttled") is None


def test_energy_is_mean_power_times_the_time_of_an_inference() -> None:
    looks = [BoardState(at_s=at_s, power_w=power_w) for at_s, power_w in ((0, 4.0), (1, None), (2, 6.0))]
    assert energy_mj(looks, 20_000_000) == pytest.approx(100.0)  # 5 W for 20 ms


def test_without_a_meter_there_is_no_energy() -> None:
    assert energy_mj([nothing(), nothing(8.0)], 20_000_000) is None
    assert energy_mj([], 20_000_000) is None


def test_a_state_says_nothing_of_what_it_was_not_told() -> None:
    assert all(getattr(nothing(), field.name) in (None, ()) for field in fields(BoardState) if field.name != "at_s")
