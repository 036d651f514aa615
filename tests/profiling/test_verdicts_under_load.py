"""Verdicts on machines that other programs use, simulated: equals, and a cell that works 5 % more.

``tests/benchmarks/test_profiler_verdicts.py`` does the same with real processes beside busy loops.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from support import machines
from support.machines import Machine
from support.profiles import cell, conditions, profile

from edgekit.profiling.comparison import Comparison, compare
from edgekit.profiling.report import render
from edgekit.profiling.rows import rows
from edgekit.profiling.table import table
from edgekit.runtime.profiler.records import Process

RUNS = 20
#: Of MobileNetV2 in LiteRT.
WORK_MS = 7.2
#: Machine -> in how many runs, at the least, the same against itself is shown to be no different; 5 % are found; and
#: how many may be wrong, which an interval of 95 % is at times: 2 of 400 on the crowded machine, 0 or 1 on the others.
BUSY = {"half_busy": (4, 17, 0), "two_loops": (4, 17, 0), "bursts": (4, 17, 0), "crowded": (1, 14, 1)}


def judged(
    name: str, ratio: float, *, repeats: int = 5, threads: int = 1, marked: bool = True
) -> tuple[Counter[str], Sequence[Comparison]]:
    """Of 20 quick sessions.

    Args:
        repeats: Processes of each cell; those of a quick session on a busy machine by default.
        threads: Processor time does not tell of several.
        marked: Whether the processes say that the machine was busy.
    """
    machine: Machine = getattr(machines, name.upper())
    found = []
    for seed in range(RUNS):
        measured = machine.measure([WORK_MS, ratio * WORK_MS], repeats=repeats, rounds=10, per_round=5, seed=seed)
        base, new = (
            cell(processes=each if marked else unmarked(each), conditions=conditions(threads=threads))
            for each in measured
        )
        found.append(compare(base, new, noise_floor_percent=2.0, seed=seed))
    return Counter(each.verdict for each in found), found


def unmarked(processes: Sequence[Process]) -> tuple[Process, ...]:
    return tuple(replace(process, marks=()) for process in processes)


@pytest.mark.parametrize("name", BUSY)
def test_equals_are_no_different_or_undecided(name: str) -> None:
    least, _, wrong = BUSY[name]
    counts, found = judged(name, 1.0)
    assert counts["no difference"] >= least and counts["slower"] == 0 and counts["faster"] <= wrong
    assert {each.measure for each in found} == {"cpu"}


@pytest.mark.parametrize("name", BUSY)
def test_five_percent_are_found_in_most_and_never_called_equal(name: str) -> None:
    _, least, _ = BUSY[name]
    counts, found = judged(name, 1.05)
    assert counts.keys() <= {"slower", "undecided"} and counts["slower"] >= least
    assert sum(each.ratio for each in found if each.ratio) / RUNS == pytest.approx(1.05, abs=0.01)


def test_wall_time_hides_them_where_processor_time_shows_them() -> None:
    """So that the machine is one on which it matters what is compared."""
    counts, found = judged("crowded", 1.05, marked=False)
    assert counts["slower"] < 8 and {each.measure for each in found} == {"wall"}


@pytest.mark.parametrize(("name", "least"), [("half_busy", 15), ("two_loops", 0)])
def test_tenth_percentiles_find_differences_and_show_no_equality(name: str, least: int) -> None:
    """Of engines with several threads: even what was disturbed least may have waited."""
    same, found = judged(name, 1.0, threads=2)
    assert same == {"undecided": RUNS} and {each.measure for each in found} == {"p10"}
    slower, _ = judged(name, 1.05, threads=2)
    assert slower.keys() <= {"slower", "undecided"} and slower["slower"] >= least


def test_the_table_and_the_report_say_by_what_it_was_judged() -> None:
    one, other = machines.TWO_LOOPS.measure([WORK_MS, 1.1 * WORK_MS], repeats=5, rounds=10, per_round=5, seed=0)
    base = cell(processes=one, conditions=conditions(threads=1))
    new = replace(base, variant="fp32.pte", engine="executorch", processes=other)
    whole = profile()
    whole = replace(whole, cells=(base, new), devices=whole.devices[2:])
    headers, lines = table(rows(whole))
    (against,) = (line[headers.index("against")] for line in lines if "fp32.pte" in line)
    assert re.fullmatch(r"1\.\d\d x litert \(processor time\): slower", against)
    page = render(whole)
    assert "times by processor time (" in page and "processor time leaves other programs out" in page


@pytest.mark.parametrize("name", ["two_loops", "crowded"])
def test_one_process_of_each_is_too_few(name: str) -> None:
    same, found = judged(name, 1.0, repeats=1)
    assert same == {"undecided": RUNS}
    assert all(each.interval and each.interval[1] / each.interval[0] > 1.04 for each in found)
    slower, _ = judged(name, 1.05, repeats=1)
    assert slower.keys() <= {"undecided", "slower"} and slower["undecided"] >= 15


def test_two_processes_of_each_show_no_equality() -> None:
    counts, _ = judged("two_loops", 1.0, repeats=2)
    assert counts["undecided"] >= 19 and not counts["slower"]


def test_on_a_quiet_machine_both_are_shown_by_wall_time() -> None:
    same, found = judged("quiet", 1.0)
    slower, _ = judged("quiet", 1.05)
    assert same.keys() <= {"no difference", "undecided"} and same["no difference"] >= 15
    assert slower == {"slower": RUNS} and {each.measure for each in found} == {"wall"}
