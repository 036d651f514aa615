"""From what a board shows while it measures to what a report says of the figures: sensors are made up, all between
them and the row is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.fake_board import FakeBoard, FakeClock
from support.profiles import cell, measured, processes, profile

from edgekit.profiling.advice import advise
from edgekit.profiling.comparison import NOT_COMPARABLE
from edgekit.profiling.rows import Row, rows
from edgekit.profiling.statistics import least_samples
from edgekit.profiling.table import table
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.readiness import marks_of, wait_until_ready
from edgekit.runtime.profiler.records import BoardState, Cell, Process
from edgekit.runtime.profiler.samples import Samples

CALM = BoardState(0.0, frequencies_hz=(1_800_000_000,) * 4, governors=("ondemand",) * 4, throttled=0)
SLOW = replace(CALM, frequencies_hz=(1_200_000_000,) * 4)


def gated(process: Process, looks: Sequence[BoardState], *, celsius_below: float | None = None) -> Process:
    """*process*, measured while the board showed *looks*, one each half second, after the gate saw the first."""
    clock = FakeClock()
    ready = wait_until_ready(
        FakeBoard(looks[:1], clock).look,
        load_below=0.25,
        celsius_below=celsius_below,
        wait_s=60.0,
        clock=clock,
        sleep=clock.sleep,
    )
    board = FakeBoard(looks[1:], clock)
    during = []
    for _ in looks[1:-1]:
        clock.sleep(0.5)
        during.append(board.look())
    after = board.look()
    marks = (*filter(None, [ready.mark]), *marks_of(ready.state, during, after))
    return replace(process, before=ready.state, during=tuple(during), after=after, marks=marks)


def rows_of(*cells: Cell) -> tuple[tuple[Row, ...], Profile]:
    whole = profile()
    one = replace(whole, cells=cells)
    return rows(one), one


def beside(looks: Sequence[BoardState], *, celsius_below: float | None = None) -> tuple[Row, Row, Profile]:
    """A row of LiteRT on a calm board, and one of a faster engine of which one repeat was measured through *looks*."""
    steady = measured([2.0, 1.5], repeats=3)
    first, *others = processes(steady[1])
    marked = gated(first, looks, celsius_below=celsius_below)
    calm = cell(processes=tuple(gated(process, [CALM] * 12) for process in processes(steady[0])))
    other = cell(variant="fp32.pte", engine="executorch", processes=(marked, *others))
    (reference, row), whole = rows_of(calm, other)
    return reference, row, whole


def test_on_a_calm_board_everything_counts() -> None:
    reference, row, whole = beside([CALM] * 12)
    assert reference.marks == row.marks == ()
    assert reference.headline and row.headline
    assert row.comparison is not None and row.comparison.verdict == "faster"
    assert next(each for each in advise(whole, (reference, row)) if each.device == "local").engine == "executorch"


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        (
            [CALM] * 4 + [replace(SLOW, throttled=0x40004)] * 4 + [replace(CALM, throttled=0x40000)] * 4,
            "throttled in 4 of 12 looks",
        ),
        ([CALM] * 6 + [replace(CALM, throttled=0x50005)] * 6, "under-voltage in 6 of 12 looks"),
        ([CALM] * 6 + [replace(CALM, throttled=0x20000)] * 6, "frequency capped between two looks"),
        ([CALM] * 6 + [SLOW] * 6, "frequency fell from 1800 to 1200 MHz"),
    ],
)
def test_one_throttled_repeat_takes_a_row_out_of_the_headline(looks: list[BoardState], reason: str) -> None:
    reference, row, whole = beside(looks)
    assert f"throttled: {reason}" in row.marks
    assert not row.headline and reference.headline
    assert row.latency_ms is not None, "its figures stay to be seen"
    assert row.comparison is not None and row.comparison.verdict == NOT_COMPARABLE
    advice = next(each for each in advise(whole, (reference, row)) if each.device == "local")
    assert advice.engine == "litert"
    assert any(row.name in line and reason in line for line in advice.left_out)


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ([replace(CALM, temperature_celsius=71.2)] * 12, "71.2 °C (the limit is 60) after 60 s"),
        ([replace(CALM, load_per_core=0.8)] * 12, "load 0.80 per core (the limit is 0.25) after 60 s"),
        (
            [CALM] * 6 + [replace(CALM, governors=("powersave",) * 4)] * 6,
            "governor changed from ondemand to powersave",
        ),
        (
            [replace(CALM, others_load_per_core=0.6)] * 12,
            "other programs took 0.60 of each core (the limit is 0.25)",
        ),
    ],
)
def test_a_degraded_repeat_counts_and_keeps_its_mark(looks: list[BoardState], reason: str) -> None:
    reference, row, whole = beside(looks, celsius_below=60.0)
    assert row.marks == (f"degraded: {reason}",)
    assert row.headline
    assert row.comparison is not None and row.comparison.verdict == "faster"
    advice = next(each for each in advise(whole, (reference, row)) if each.device == "local")
    assert advice.engine == "executorch"
    assert any(reason in remark for remark in advice.remarks)


def test_what_all_repeats_are_marked_for_is_said_once() -> None:
    made = processes(measured([2.0], repeats=3)[0])
    loads = (0.81, 0.64, 0.7)
    marked = [gated(each, [replace(CALM, load_per_core=load)] * 4) for each, load in zip(made, loads, strict=True)]
    ((row,), _) = rows_of(cell(processes=tuple(marked)))
    assert row.marks == ("degraded: load 0.81 per core (the limit is 0.25) after 60 s",)


@pytest.mark.parametrize("percent", [90, 95, 99])
def test_a_percentile_of_too_few_samples_is_not_given(percent: int) -> None:
    least = least_samples(percent)
    for samples, there in ((least - 1, False), (least, True)):
        process = replace(
            processes([(Samples.pack(range(2_000_000, 2_000_000 + samples)), (samples,))])[0], preprocess_ns=None
        )
        ((row,), _) = rows_of(cell(processes=(process,)))
        assert row.headline and row.latency_ms is not None
        assert (getattr(row.latency_ms, f"p{percent}") is not None) == there


def test_the_numbers_of_samples_are_the_documented_ones() -> None:
    assert (least_samples(90), least_samples(99)) == (64, 662)


@pytest.mark.parametrize(("rise_percent", "flagged"), [(12.0, True), (-12.0, True), (2.0, False)])
def test_drift_is_flagged(rise_percent: float, flagged: bool) -> None:
    made = []
    for process in processes(measured([2.0], repeats=3)[0]):
        assert process.elapsed_ns is not None
        samples = process.elapsed_ns.array().astype(float)
        rise = np.linspace(1, 1 + rise_percent / 100, samples.size)
        made.append(replace(process, elapsed_ns=Samples.pack((samples * rise).astype(np.int64))))
    ((row,), _) = rows_of(cell(processes=tuple(made)))
    assert row.latency_ms is not None and row.latency_ms.drift_percent is not None
    assert row.latency_ms.drifting == flagged
    headers, ((*texts,),) = table([row])
    assert ("drifting" in dict(zip(headers, texts, strict=True)).get("note", "")) == flagged
