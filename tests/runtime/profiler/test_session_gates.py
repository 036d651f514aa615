"""A session on a machine that gets hot, is throttled or changes: real engines, made-up sensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.bundles import only
from support.fake_board import FakeBoard

import edgekit
from edgekit.bundle import Bundle
from edgekit.runtime.profiler.board import energy_mj
from edgekit.runtime.profiler.records import MEASURED, BoardState, Cell
from edgekit.runtime.profiler.session import run_session
from edgekit.runtime.profiler.settings import Request, Settings

_SETTINGS = Settings("quick", seed=7, repeats=2, seconds=0.1, samples=8, threads=1)
#: Looks before a process starts: the load counts from the first.
_AT_GATE = 2


@pytest.fixture(scope="module")
def one(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """With one variant: one cell."""
    path = only(small_bundle, ("fp32.tflite",), tmp_path_factory.mktemp("gates") / "one.edgekit")
    with Bundle.open(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def two(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """With two variants: two cells."""
    path = only(small_bundle, ("fp32.tflite", "int8-dynamic.tflite"), tmp_path_factory.mktemp("gates") / "two.edgekit")
    with Bundle.open(path) as opened:
        yield opened


def measure(
    bundle: Bundle,
    states: Iterable[BoardState] | Callable[[float], BoardState],
    reason: str = "none",
    settings: Settings = _SETTINGS,
    **request: Any,
) -> tuple[Cell, ...]:
    board = FakeBoard(states, time.monotonic, energy_reason=reason)
    _, cells = run_session([bundle], Request(settings, **request), listener=lambda event: None, board=board)
    assert {cell.status for cell in cells} == {MEASURED}
    return cells


def marks(cells: Iterable[Cell], repeat: int) -> set[tuple[str, ...]]:
    """What the processes of that repeat are marked with."""
    return {cell.processes[repeat].marks for cell in cells}


def test_a_board_that_is_hot_from_the_start_is_waited_for_once_and_marked(two: Bundle) -> None:
    cells = measure(two, [BoardState(0.0, temperature_celsius=81.5)], start_below_celsius=60.0, wait_s=1.0)
    processes = [process for cell in cells for process in cell.processes]
    for process in processes:
        assert [mark.startswith("degraded: 81.5 °C (the limit is 60)") for mark in process.marks] == [True]
    waits = sorted(process.waited_s for process in processes)
    assert 1.0 <= waits[-1] < 2.0 and waits[-2] < 0.1, "the session's time to wait is spent on the first"


def test_a_board_that_cools_down_in_time_is_waited_for_and_not_marked(one: Bundle) -> None:
    cool_s = time.monotonic() + 1.0
    cells = measure(
        one,
        lambda now_s: BoardState(0.0, temperature_celsius=70.0 if now_s < cool_s else 50.0),
        start_below_celsius=60.0,
        wait_s=60.0,
    )
    assert marks(cells, 0) == marks(cells, 1) == {()}
    assert 0.1 < sum(process.waited_s for cell in cells for process in cell.processes) < 2.0


def test_throttling_in_the_middle_of_a_repeat_marks_all_that_ran_then_and_no_other(two: Bundle) -> None:
    calm, throttled, since = (BoardState(0.0, throttled=bits) for bits in (0x0, 0x40004, 0x40000))
    cells = measure(two, [calm] * (2 * _AT_GATE) + [throttled] + [since])
    assert all(mark[0].startswith("throttled: throttled in 1 of ") for mark in marks(cells, 0))
    assert marks(cells, 1) == {()}


def test_a_governor_that_changes_marks_the_repeat_in_which_it_did(one: Bundle) -> None:
    before, after = (BoardState(0.0, governors=(name,)) for name in ("performance", "powersave"))
    cells = measure(one, [before] * _AT_GATE + [after])
    assert marks(cells, 0) == {("degraded: governor changed from performance to powersave",)}
    assert marks(cells, 1) == {()}


def test_only_a_busy_machine_with_something_to_compare_takes_more_repeats(one: Bundle, two: Bundle) -> None:
    settings = replace(_SETTINGS, repeats=1, busy_repeats=2)
    busy, hot = BoardState(0.0, load_per_core=0.9), BoardState(0.0, temperature_celsius=81.5)
    for bundle, state, repeats in ((two, busy, [0, 1]), (one, busy, [0]), (two, hot, [0])):
        cells = measure(bundle, [state], settings=settings, start_below_celsius=60.0, wait_s=0.0)
        for cell in cells:
            assert [process.repeat for process in cell.processes] == repeats
            assert all(process.marks for process in cell.processes)


def test_a_machine_that_is_fit_gets_no_mark_and_its_power_is_read_while_inferences_run(one: Bundle) -> None:
    fit = BoardState(0.0, load_per_core=0.0, temperature_celsius=45.0, throttled=0, governors=("a",), power_w=4.5)
    (cell,) = measure(one, [fit], reason="", start_below_celsius=60.0)
    assert cell.energy == ""
    for process in cell.processes:
        assert process.marks == ()
        assert process.waited_s < 0.1
        assert energy_mj(process.during, 2e6) == pytest.approx(9.0)
        assert process.before is not None and process.before.power_w is None


def test_a_model_that_measures_itself_says_why_it_has_no_energy(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_meter() -> FakeBoard:
        return FakeBoard([BoardState(0.0, power_w=4.5)], time.monotonic, energy_reason="")

    monkeypatch.setattr("edgekit.runtime.profiler.in_process.Board", with_meter)
    with edgekit.load(small_bundle) as model:
        (cell,) = model.profile(seconds=0.05).cells
    assert energy_mj(cell.processes[0].during, 2e6) is None
    assert "edgekit profile" in cell.energy
