"""Every case that ONNX has of its operators, which takes minutes: ``pytest -s -n 0 tests/conformance``."""

from __future__ import annotations

from collections import Counter

from support import onnx_cases


def test_operators_are_right_or_refused_by_name() -> None:
    cases, others = onnx_cases.cases()
    verdicts = [onnx_cases.judge(case, export=True, runtime=True) for case in cases]
    print("", *onnx_cases.report(verdicts, others), sep="\n")
    for each in verdicts:
        if each.exported is False or each.runtime is False:
            print(f"  {each.name}: exported {each.exported}, like ONNX Runtime {each.runtime}")
    outcomes = Counter(each.outcome for each in verdicts)
    assert not [each for each in verdicts if each.outcome == "wrong"]
    assert outcomes["passed"] >= 0.95 * len(verdicts)
