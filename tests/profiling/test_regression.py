"""A new profile held against an older one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from support.profiles import EMULATED, PI, cell, devices, measured, processes, profile

from edgekit.errors import UsageError
from edgekit.profiling.policy import Limits, Policy
from edgekit.profiling.regression import Outcome, failures, judge, undecided
from edgekit.profiling.verdicts import junit, markdown, table
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import FAILED, NOT_RUN, Cell, Memory


def session(*cells: Cell, **changes: Any) -> Profile:
    return replace(profile(), cells=cells, **changes)


def slowed(ratio: float, seed: int = 1) -> Cell:
    return cell(processes=processes(measured([2.0 * ratio], seed=seed)[0]))


def one(base: Profile, new: Profile, policy: Policy | None = None) -> Outcome:
    (outcome,) = judge(base, new, policy or Policy())
    return outcome


def emulated(instructions: int) -> Cell:
    return cell(device=EMULATED, processes=(), guest_instructions=instructions)


def changed_variant(**facts: Any) -> Profile:
    """A session of one cell whose file has other facts."""
    whole = session(cell())
    board, *others = whole.bundles
    first, *rest = board.variants
    return replace(whole, bundles=(replace(board, variants=(replace(first, **facts), *rest)), *others))


def test_a_profile_is_as_good_as_itself() -> None:
    whole = profile()
    outcomes = judge(whole, whole, Policy())
    assert failures(outcomes) == []
    assert {outcome.status for outcome in outcomes} == {"compared", "unknown"}
    assert all(outcome.verdict.startswith(("met", "not measured in either")) for outcome in outcomes)
    by_device = {outcome.device: {check.metric for check in outcome.checks} for outcome in outcomes if outcome.checks}
    assert by_device[PI] == {"latency", "size", "peak_rss", "accuracy"}
    assert by_device[EMULATED] == {"size", "accuracy", "guest_instructions"}


def test_a_latency_above_its_limit_fails_when_the_interval_says_so() -> None:
    base = session(cell())
    slow = one(base, session(slowed(1.09)))
    assert slow.failed and slow.verdict.startswith("not met: latency 1.0") and "at most 1.05" in slow.verdict
    assert not one(base, session(slowed(1.04))).failed
    assert not one(base, session(slowed(1.09)), Policy(Limits(latency_ratio=1.2))).failed
    noisy = processes(scattered(1.09))
    outcome = one(base, session(cell(processes=noisy)))
    (latency,) = (check for check in outcome.checks if check.metric == "latency")
    assert latency.change is not None and latency.change > 1.05 and latency.result == "undecided"
    assert not outcome.failed and outcome.verdict.startswith("met; latency undecided: 1.1")
    assert undecided([outcome]) == [f"fp32.tflite on litert (local): latency {latency.text}"]
    strict = one(base, session(cell(processes=noisy)), Policy(undecided="fail"))
    assert strict.failed and strict.verdict.startswith("not met: latency undecided: 1.1")
    assert undecided([strict]) == [] and len(failures([strict])) == 1


def test_a_latency_of_which_its_interval_does_not_show_that_it_is_within_the_limit_is_undecided() -> None:
    base = session(cell())
    near = one(base, session(slowed(1.045)))
    assert not near.failed and "undecided" in near.verdict
    assert one(base, session(slowed(1.02))).verdict == "met"


def degraded(ratio: float, seed: int = 1) -> Cell:
    ran = slowed(ratio, seed).processes
    mark = "degraded: other programs took 0.57 of each core (the limit is 0.25)"
    return cell(processes=(replace(ran[0], marks=(mark,)), *ran[1:]))


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.2, 3.0])
def test_degraded_sessions_are_undecided_and_fail_only_under_that_policy(ratio: float) -> None:
    for base, new in ((degraded(1.0), degraded(ratio)), (cell(), degraded(ratio)), (degraded(1.0), slowed(ratio))):
        outcome = one(session(base), session(new))
        assert not outcome.failed and outcome.comparison is not None and outcome.comparison.verdict == "undecided"
        assert "latency undecided" in outcome.verdict and "degraded" in outcome.verdict
        assert one(session(base), session(new), Policy(undecided="fail")).failed
        assert [case for case in ElementTree.fromstring(junit([outcome])) if case[:] and case[0].tag == "skipped"]


def scattered(ratio: float) -> Any:
    """Five processes from half to twice the time, 1.09 in the middle."""
    factors = (0.5, 0.8, 1.0, 1.5, 2.0)
    return [measured([2.0 * ratio * factor], repeats=1, seed=index)[0][0] for index, factor in enumerate(factors)]


def test_a_limit_below_one_asks_for_a_gain() -> None:
    base, policy = session(cell()), Policy(Limits(latency_ratio=0.9))
    assert one(base, session(slowed(1.0)), policy).failed
    assert not one(base, session(slowed(0.85)), policy).failed


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"size_bytes": 90_000}, "size 1.071 x, at most 1.05"),
        (
            {"accuracy": 96.9, "accuracy_drop": 0.6},
            "accuracy 96.90 % (0.60 points below the base), at most 0.50 points worse",
        ),
        ({"accuracy": None, "accuracy_drop": None}, "accuracy not measured any more"),
    ],
)
def test_size_and_accuracy_have_limits(facts: dict[str, Any], words: str) -> None:
    assert failures(judge(session(cell()), changed_variant(**facts), Policy())) == [
        f"fp32.tflite on litert (local): {words}"
    ]
    lifted = Policy(Limits(size_ratio=float("inf"), accuracy_drop=float("inf")))
    assert not one(session(cell()), changed_variant(**facts), lifted).failed


def test_accuracy_exactly_at_its_limit_is_met() -> None:
    assert not one(session(cell()), changed_variant(accuracy=97.0, accuracy_drop=0.5)).failed


def test_memory_instructions_and_load_have_limits() -> None:
    small, large = Memory(40_000_000, None, None, 0), Memory(50_000_000, None, None, 0)
    outcome = one(session(cell(memory=small)), session(cell(memory=large)))
    assert outcome.verdict == "not met: memory 1.250 x, at most 1.1"
    outcome = one(session(emulated(1_000_000)), session(emulated(1_030_000)))
    assert outcome.verdict == "not met: instructions 1.030 x, at most 1.02"
    (steady,) = measured([2.0])
    slow = session(cell(processes=processes(steady, load_ms=90.0)))
    assert not one(session(cell()), slow).failed  # no limit unless a policy sets one
    assert one(session(cell()), slow, Policy(Limits(load_ratio=2.0))).verdict.startswith("not met: load time 10.000 x")


def test_a_row_that_is_missing_fails_unless_it_may() -> None:
    other = cell(engine="executorch", variant="fp32.pte")
    base = session(cell(), other)
    crashed = replace(other, status=FAILED, reason="ended by SIGSEGV", processes=(), conditions=None)
    for new, reason in ((session(cell()), "not in the new profile"), (session(cell(), crashed), "failed: ended by")):
        outcome = judge(base, new, Policy())[1]
        assert (outcome.status, outcome.failed) == ("missing", True) and reason in outcome.verdict
        allowed = judge(base, new, Policy(missing="allow"))[1]
        assert not allowed.failed and allowed.verdict.startswith("missing, which is allowed: ")


def test_a_new_row_is_noted() -> None:
    other = cell(engine="executorch", variant="fp32.pte")
    for base in (session(cell()), session(cell(), replace(other, status=NOT_RUN, reason="not installed"))):
        outcome = judge(base, session(cell(), other), Policy())[1]
        assert (outcome.status, outcome.verdict, outcome.failed) == ("new", "new", False)


def test_another_machine_is_not_compared_and_fails_only_under_that_policy() -> None:
    *others, desktop = devices()
    assert desktop.machine is not None
    moved = (*others, replace(desktop, machine=replace(desktop.machine, cpu="AMD EPYC")))
    base, new = session(cell()), session(slowed(3.0), devices=moved)
    outcome = one(base, new)
    assert not outcome.failed and "met; latency not comparable: another machine: processor AMD EPYC" in outcome.verdict
    assert outcome.comparison is not None and outcome.comparison.ratio is None
    assert one(base, new, Policy(not_comparable="fail")).failed


def test_a_base_without_measurements_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing was measured in the base"):
        judge(session(), session(cell()), Policy())


def outcomes() -> tuple[Outcome, ...]:
    other = cell(engine="executorch", variant="fp32.pte")
    throttled = replace(other.processes[0], marks=("throttled: bits 0x2 | <b>",))
    base = session(cell(), other, cell(device=PI))
    return judge(base, session(slowed(1.2), replace(other, processes=(throttled,))), Policy())


def test_the_table_has_a_line_with_a_verdict_for_each_row() -> None:
    headers, lines = table(outcomes())
    assert headers == ["device", "variant", "engine", "latency", "size", "accuracy", "verdict"]
    assert [line[-1].split(":")[0] for line in lines] == ["not met", "met; latency not comparable", "missing"]


def test_markdown_is_a_table_that_github_shows() -> None:
    text = markdown(outcomes(), base="main|1.json", new="<new>.json")
    first, blank, header, align, *lines = text.splitlines()
    assert first == "**2 limits not met**: &lt;new>.json against main\\|1.json" and blank == ""
    columns = header.count("|")
    assert align.count("|") == columns and all(line.replace("\\|", "").count("|") == columns for line in lines)
    assert "| **not met: latency 1.2" in lines[0] and "**" not in lines[1] and len(lines) == 3


def test_junit_has_a_case_for_each_row_and_metric() -> None:
    suite = ElementTree.fromstring(junit(outcomes()))
    cases = {(case.get("classname"), case.get("name")): [child.tag for child in case] for case in suite}
    assert cases == {
        ("fp32.tflite on litert (local)", "latency"): ["failure"],
        ("fp32.tflite on litert (local)", "size"): [],
        ("fp32.tflite on litert (local)", "accuracy"): [],
        ("fp32.pte on executorch (local)", "latency"): ["skipped"],
        ("fp32.pte on executorch (local)", "size"): [],
        ("fp32.pte on executorch (local)", "accuracy"): [],
        (f"fp32.tflite on litert ({PI})", "measured"): ["failure"],
    }
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "2", "1")


def test_what_xml_cannot_hold_is_spelled_out() -> None:
    crashed = cell(status=FAILED, reason="\x1b[31mred\x00", processes=(), conditions=None)
    text = junit(judge(session(cell()), session(crashed), Policy()))
    assert ElementTree.fromstring(text) is not None and "\\x1b[31mred\\x00" in text
