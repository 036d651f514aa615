"""Comparisons: what may be compared, and what a verdict is worth on a noisy machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.profiles import QUIET, Noise, cell, conditions, devices, measured, processes

from edgekit.profiling.comparison import Comparison, compare, compare_sessions, other_machine, verdict
from edgekit.runtime.profiler.records import FAILED, NOT_RUN, Cell

#: What a machine that others use too does to measurements: a shared virtual one, and the same at a worse hour.
NOISES = {
    "shared machine": Noise(),
    "worse hour": Noise(common=0.12, process=0.012, turn=0.02, burst=0.25),
    "busy every other round": Noise(process=0.003, busy=0.5),
    "one inference to a round": Noise(sample=0.03),
}
RUNS = 20
#: How often of those the same against itself is shown to be no different, at the least: the rest is undecided.
SHOWN = {"shared machine": 5, "worse hour": 1, "busy every other round": 19, "one inference to a round": 0}


def pair(ratio: float, noise: Noise, seed: int, **size: int) -> tuple[Cell, Cell]:
    """Two cells that took turns."""
    base, new = measured([2.0, 2.0 * ratio], noise=noise, seed=seed, **size)
    return cell(processes=processes(base)), cell(processes=processes(new), engine="executorch")


def verdicts(ratio: float, noise: Noise, **size: int) -> list[str]:
    cells = (pair(ratio, noise, seed, **size) for seed in range(100, 100 + RUNS))
    return [compare(*each, noise_floor_percent=2.0).verdict for each in cells]


@pytest.mark.parametrize("name", NOISES)
def test_the_same_against_itself_is_no_difference_or_undecided(name: str) -> None:
    size = {"per_round": 1} if name == "one inference to a round" else {}
    found = verdicts(1.0, NOISES[name], **size)
    assert set(found) <= {"no difference", "undecided"} and found.count("no difference") >= SHOWN[name]


@pytest.mark.parametrize("name", NOISES)
def test_five_percent_slower_is_slower_in_19_of_20(name: str) -> None:
    size = {"per_round": 1} if name == "one inference to a round" else {}
    assert verdicts(1.05, NOISES[name], **size).count("slower") >= 19


def test_on_a_quiet_machine_the_same_is_shown_to_be_no_different() -> None:
    assert verdicts(1.0, QUIET).count("no difference") >= 19


def test_few_processes_show_no_equality_and_one_shows_little() -> None:
    """Which would take that processes differ by less than it is known that they do."""
    assert set(verdicts(1.0, QUIET, repeats=1)) == {"undecided"}
    assert verdicts(1.0, QUIET, repeats=2).count("undecided") >= 5
    assert "slower" not in verdicts(1.05, QUIET, repeats=1)
    assert verdicts(1.05, QUIET, repeats=2).count("slower") >= 19
    assert verdicts(1.15, QUIET, repeats=1).count("slower") >= 19


def test_a_slower_one_whose_interval_is_wide_is_not_no_slower() -> None:
    """One in five processes took twice as long: 27 % slower on average, and nothing is shown."""
    medians = (2.0, 2.0, 4.0, 2.02, 2.01)
    new = [measured([median], repeats=1, seed=index)[0][0] for index, median in enumerate(medians)]
    found = compare(cell(), cell(processes=processes(new)), noise_floor_percent=2.0)
    assert found.verdict == "undecided" and found.interval is not None and found.interval[1] > 1.2


def test_five_percent_faster_is_faster() -> None:
    assert verdicts(1 / 1.05, NOISES["shared machine"]).count("faster") >= 19


def test_the_interval_holds_the_ratio() -> None:
    held = []
    for seed in range(30):
        found = compare(*pair(1.3, NOISES["shared machine"], seed), noise_floor_percent=2.0)
        assert found.interval is not None
        held.append(found.interval[0] <= 1.3 <= found.interval[1])
    assert sum(held) >= 25


def test_noise_that_both_had_cancels() -> None:
    """The machine runs at anything between half and twice its speed from one round to the next."""
    noise = Noise(common=0.4, process=0.001, turn=0.001, sample=0.01, tail=0, burst=0)
    base, new = pair(1.05, noise, 0)
    together = compare(base, new, noise_floor_percent=2.0)
    apart = compare_sessions(base, new, devices()[2], devices()[2], noise_floor_percent=2.0)
    assert together.verdict == "slower" and apart.verdict == "undecided"
    assert together.interval is not None and apart.interval is not None
    assert together.interval[1] - together.interval[0] < 0.3 * (apart.interval[1] - apart.interval[0])


def test_the_ratio_is_that_of_the_medians() -> None:
    base, new = cell(processes=processes(measured([2.0])[0])), cell(processes=processes(measured([3.0], seed=1)[0]))
    found = compare(base, new, noise_floor_percent=2.0)
    assert found.ratio == pytest.approx(1.5, rel=0.01) and found.verdict == "slower"
    same = compare(base, base, noise_floor_percent=2.0)
    assert (same.verdict, same.reason, same.ratio, same.measure) == ("no difference", "", 1.0, "wall")
    assert same.interval is not None and same.interval[0] == pytest.approx(1 / same.interval[1])


def test_a_repeat_that_failed_in_one_is_left_out_in_both() -> None:
    base, new = pair(1.0, Noise(common=0, process=0, turn=0, tail=0, burst=0), 0)
    slow = processes(measured([20.0])[0])[3]
    failed = replace(new.processes[3], failure="ended by SIGKILL")
    base = replace(base, processes=(*base.processes[:3], slow, base.processes[4]))
    new = replace(new, processes=(*new.processes[:3], failed, new.processes[4]))
    assert compare(base, new, noise_floor_percent=2.0).ratio == pytest.approx(1.0, abs=0.01)
    only = replace(new, processes=new.processes[:1])
    others = replace(base, processes=base.processes[1:])
    assert "no repeat" in compare(others, only, noise_floor_percent=2.0).reason


def test_rounds_that_only_one_has_are_left_out() -> None:
    """The slower engine took more rounds to its share of samples."""
    (base,) = measured([2.0], rounds=10)
    (new,) = measured([3.0], rounds=25, seed=1)
    found = compare(cell(processes=processes(base)), cell(processes=processes(new)), noise_floor_percent=2.0)
    assert found.verdict == "slower" and found.ratio == pytest.approx(1.5, rel=0.01)


def test_cells_that_there_was_no_room_for_together_are_not_comparable() -> None:
    base, new = pair(1.05, QUIET, 0)
    later = tuple(replace(each, round_sizes=(*[0] * 20, *each.round_sizes)) for each in new.processes)
    found = compare(base, replace(new, processes=later), noise_floor_percent=2.0)
    assert (found.verdict, found.reason) == ("not comparable", "no round in which both took part")
    some = (later[0], *new.processes[1:])
    assert compare(base, replace(new, processes=some), noise_floor_percent=2.0).verdict == "slower"


def test_one_process_without_rounds_has_an_interval_too() -> None:
    base, new = (processes(steady)[:1] for steady in measured([2.0, 2.3], rounds=1, per_round=400, repeats=1))
    found = compare(cell(processes=base), cell(processes=new), noise_floor_percent=2.0)
    assert found.verdict == "slower" and found.interval is not None and found.interval[1] > found.interval[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"threads": 4}, "4 threads against 1"),
        ({"threads": None}, "an unknown number of threads against 1"),
        ({"inputs_sha256": "00" * 32}, "other input values"),
        ({"inputs": ("int8[1, 28, 28, 1]",)}, "inputs int8[1, 28, 28, 1] against float32[1, 28, 28, 1]"),
        ({"inputs": ("float32[1, 1, 28, 28]",)}, "inputs float32[1, 1, 28, 28] against float32[1, 28, 28, 1]"),
        ({"outputs": ("int8[1, 10]",)}, "outputs int8[1, 10] against float32[1, 10]"),
        ({"precision": "int8"}, "precision int8 against fp32"),
        ({"batch": 32}, "batches of 32 against 1"),
        ({"cpus": (2, 3)}, "bound to cores 2, 3 against no cores"),
        ({"accelerator": "cuda"}, "cuda against cpu"),
        ({"accelerator": "cuda", "threads": 2}, "cuda against cpu; 2 threads against 1"),
    ],
)
def test_conditions_that_differ_are_named_and_give_no_ratio(changes: dict[str, Any], reason: str) -> None:
    base = cell(conditions=conditions(threads=1))
    new = cell(conditions=replace(conditions(threads=1), **changes))
    assert compare(base, new, noise_floor_percent=2.0) == Comparison("not comparable", reason)


def test_what_was_not_measured_or_was_throttled_is_not_comparable() -> None:
    good = cell()
    throttled = replace(good.processes[2], marks=("throttled: the firmware capped the frequency",))
    for bad, reason in (
        (cell(status=FAILED, processes=()), "it was not measured"),
        (cell(status=NOT_RUN, conditions=None, processes=()), "it was not measured"),
        (cell(processes=(*good.processes[:2], throttled)), "it was throttled while it was measured"),
        (cell(device="ssh://pi@pi"), "measured on ssh://pi@pi against local"),
    ):
        assert compare(good, bad, noise_floor_percent=2.0) == Comparison("not comparable", reason)
    degraded = replace(good.processes[2], marks=("degraded: 63 degrees Celsius at the start",))
    assert compare(good, cell(processes=(degraded,)), noise_floor_percent=2.0).ratio is not None


@pytest.mark.parametrize(
    ("ratio", "bounds", "expected"),
    [
        (1.05, (1.01, 1.09), "slower"),
        (1.05, (1.005, 1.09), "undecided"),
        (1.05, (0.99, 1.11), "undecided"),
        (1.27, (0.9, 1.8), "undecided"),
        (1.015, (1.01, 1.02), "no difference"),
        (1.015, (1.01, 1.03), "undecided"),
        (1.0, (0.98, 1.02), "no difference"),
        (1.0, (0.97, 1.01), "undecided"),
        (0.95, (0.91, 0.99), "faster"),
        (0.95, (0.91, 0.995), "undecided"),
        (0.985, (0.98, 0.99), "no difference"),
        (0.95, (0.9, 1.0), "undecided"),
    ],
)
def test_a_verdict_takes_the_interval_and_the_noise_floor(
    ratio: float, bounds: tuple[float, float], expected: str
) -> None:
    assert verdict(ratio, bounds, 2.0) == expected


def test_sessions_are_compared_on_machines_of_a_kind() -> None:
    board, emulated, desktop = devices()
    assert other_machine(board, replace(board, name="ssh://pi@other")) == ""
    assert other_machine(board, emulated) == "an emulated board against a real one"
    assert other_machine(desktop, board).startswith("another machine: board Raspberry Pi 4")
    assert desktop.machine is not None
    other = replace(desktop, machine=replace(desktop.machine, cores=8))
    assert other_machine(desktop, other) == "another machine: number of cores 8 against 4"
    assert other_machine(desktop, replace(desktop, machine=None)) == "a machine was not read"
    found = compare_sessions(cell(), cell(), desktop, other, noise_floor_percent=2.0)
    assert (found.verdict, found.ratio) == ("not comparable", None)


def test_degraded_sessions_are_undecided_however_far_apart_they_are() -> None:
    desktop = devices()[2]
    busy = tuple(replace(each, marks=("degraded: other programs took 0.50 of each core",)) for each in cell().processes)
    slow = cell(processes=processes(measured([3.0])[0]))
    for base, new, reason in (
        (cell(processes=busy), slow, "the base was degraded"),
        (slow, cell(processes=busy), "the new one was degraded"),
        (cell(processes=busy), cell(processes=busy), "the base and the new one were degraded"),
    ):
        found = compare_sessions(base, new, desktop, desktop, noise_floor_percent=2.0)
        assert (found.verdict, found.reason) == ("undecided", reason)
        assert found.ratio is not None and found.interval is not None
    assert compare_sessions(cell(), slow, desktop, desktop, noise_floor_percent=2.0).verdict == "slower"


def test_one_process_of_each_session_shows_a_large_difference_alone() -> None:
    """As ``model.profile()`` leaves them."""
    desktop = devices()[2]
    base, near, far = (cell(processes=cell(2.0 * ratio, seed=3).processes[:1]) for ratio in (1.0, 1.05, 1.3))
    assert compare_sessions(base, near, desktop, desktop, noise_floor_percent=2.0).verdict == "undecided"
    assert compare_sessions(base, far, desktop, desktop, noise_floor_percent=2.0).verdict == "slower"


def test_another_session_is_told_apart_only_by_more_than_sessions_differ() -> None:
    desktop = devices()[2]
    base, same, slower = (cell(2.0 * ratio, seed=seed) for ratio, seed in ((1.0, 1), (1.0, 2), (1.06, 3)))
    assert compare_sessions(base, same, desktop, desktop, noise_floor_percent=2.0).verdict == "no difference"
    assert compare_sessions(base, slower, desktop, desktop, noise_floor_percent=2.0).verdict == "slower"
