"""The files that describe an emulated board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.devices.emulator import board, guest
from edgekit.devices.emulator.device import open_board
from edgekit.errors import UsageError
from edgekit.runtime.machine import read_machine
from edgekit.target import load_target


@pytest.mark.parametrize("name", guest.names())
def test_a_board_reads_as_what_its_target_says(name: str, tmp_path: Path) -> None:
    target = guest.target_of(name)
    board.write(target, tmp_path)
    machine = read_machine(tmp_path)
    assert machine.cpu == (target.cpu.core or "cortex-a53")
    assert machine.cores == (target.cpu.cores or target.threads)
    assert machine.features == target.cpu.features
    assert target.is_machine(machine.board, target.cpu.architecture) or not target.boards
    if target.memory_bytes is not None:
        assert machine.memory_bytes == target.memory_bytes
        assert machine.free_memory_bytes is not None and 0 < machine.free_memory_bytes < target.memory_bytes
    model = tmp_path / "sys/firmware/devicetree/base/model"
    assert model.exists() == bool(target.boards)
    if target.boards:
        assert model.read_bytes().endswith(b"\0") and model.read_text().startswith(target.boards[0])


def test_another_core_can_be_shown(tmp_path: Path) -> None:
    board.write(load_target("rpi4"), tmp_path, board.CORES["cortex-a76"])
    machine = read_machine(tmp_path)
    assert machine.cpu == "cortex-a76" and "dotprod" in machine.features


def test_a_core_that_is_not_emulated_is_named() -> None:
    target = load_target("rpi4")
    with pytest.raises(UsageError) as caught:
        board.core_of(replace(target, cpu=replace(target.cpu, core="cortex-a999")))
    assert "no cortex-a999 is emulated" in caught.value.message and "cortex-a76" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("emulator:", "names no board"),
        ("emulator:rpi9", "unknown target 'rpi9'"),
        ("emulator:browser", "is not emulated"),
        ("emulator:desktop-x86_64", "is not emulated"),
    ],
)
def test_what_is_no_emulated_board_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_board(name)
    assert said in caught.value.message and caught.value.hint
