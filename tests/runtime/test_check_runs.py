"""What a run on a board says beside the host's run of the same file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekit.runtime.check_runs import CheckRun
from edgekit.runtime.verification import PASSED, Verification, compared

_HERE = np.array([[1.0, -2.0, 0.5]], np.float32)
_ROW = Verification("v", "litert", PASSED, "", 80.0)


def difference(recipe: str, there: np.ndarray, here: np.ndarray = _HERE) -> tuple[float | None, bool | None]:
    variant: Any = SimpleNamespace(recipe=recipe)
    row = compared(_ROW, variant, CheckRun({"y": there}), CheckRun({"y": here}))
    return row.host_rel_diff, row.matches_host


def test_the_same_bits_match_whatever_the_recipe() -> None:
    assert difference("int8", _HERE.copy()) == difference("fp32", _HERE.copy()) == (0.0, True)
    assert difference("fp16", _HERE.copy()) == (0.0, None)


def test_one_step_is_too_far_for_integers_and_none_for_floats() -> None:
    near = np.nextafter(_HERE, np.float32(9))
    found, matches = difference("int8", near)
    assert found is not None and 0 < found < 1e-6 and matches is False
    assert difference("fp32", near) == (found, True)


def test_the_difference_is_relative_to_the_largest_output() -> None:
    assert difference("fp32", _HERE + np.float32(0.02)) == (pytest.approx(0.01, rel=1e-3), False)
    assert difference("fp32", _HERE, np.zeros_like(_HERE)) == (1.0, False)


def test_outputs_that_are_not_finite_never_match_finite_ones() -> None:
    broken = _HERE.copy()
    broken[0, 1] = np.nan
    assert difference("fp32", broken) == (1.0, False)
    assert difference("fp32", broken.copy(), broken) == (0.0, True)


def test_a_run_that_one_side_lacks_is_not_compared() -> None:
    variant: Any = SimpleNamespace(recipe="fp32")
    ran, failed = CheckRun({"y": _HERE}), CheckRun(None, "EK-CRASHED: died")
    for there, here in ((ran, None), (ran, failed), (failed, ran)):
        row = compared(_ROW, variant, there, here)
        assert row is _ROW and row.host_rel_diff is None
