"""Policies: limits from a TOML file, and what is said of one that is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.profiling.policy import Limits, Policy, load_policy

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "policy.toml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_policy_is_the_default(tmp_path: Path) -> None:
    assert load_policy(write(tmp_path, "")) == Policy()
    assert Policy().limits_for("fp32.tflite", "litert", "local") == Limits()


def test_what_a_policy_does_not_name_keeps_its_default_and_inf_lifts_a_limit(tmp_path: Path) -> None:
    policy = load_policy(
        write(tmp_path, 'missing = "allow"\nundecided = "fail"\n[limits]\nlatency_ratio = 2\nsize_ratio = inf\n')
    )
    assert (policy.limits.latency_ratio, policy.limits.size_ratio) == (2.0, math.inf)
    assert policy.limits.accuracy_drop == Limits().accuracy_drop
    assert (policy.missing, policy.not_comparable, policy.undecided) == ("allow", "note", "fail")


def test_rows_have_limits_of_their_own_and_the_last_that_matches_counts() -> None:
    policy = load_policy(EXAMPLE)
    assert policy.limits_for("fp32.tflite", "litert", "local") == policy.limits
    assert policy.limits_for("fp32.pt2", "torch-compile", "local").latency_ratio == 1.25
    board = policy.limits_for("int8.pte", "executorch", "ssh://pi@raspberrypi.local")
    assert (board.latency_ratio, board.size_ratio) == (1.03, 1.02)
    both = policy.limits_for("int8.pt2", "torch", "ssh://pi@raspberrypi.local")
    assert (both.latency_ratio, both.peak_rss_ratio) == (1.03, math.inf)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[limits]\n\nlatncy_ratio = 1.1\n", ":3: unknown key 'latncy_ratio'", "did you mean 'latency_ratio'?"),
        ('misssing = "fail"\n', ":1: unknown key 'misssing'", "did you mean 'missing'?"),
        ('missing = "alow"\n', ":1: 'missing' is 'alow'", "did you mean 'allow'?"),
        ("not_comparable = 1\n", ":1: 'not_comparable' is 1", "known: fail, note"),
        ('undecided = "allow"\n', ":1: 'undecided' is 'allow'", "known: fail, note"),
        ('[limits]\nsize_ratio = "5 %"\n', ":2: 'size_ratio' takes a number", "inf lifts the limit"),
        ("[limits]\nsize_ratio = true\n", ":2: 'size_ratio' takes a number", "inf lifts the limit"),
        ("[limits]\nsize_ratio = nan\n", ":2: 'size_ratio' takes a number", "inf lifts the limit"),
        ("[limits]\nsize_ratio = 0\n", ":2: 'size_ratio' is 0", "it takes a ratio above 0"),
        ("limits = 1.05\n", ":1: 'limits' takes a table", "[limits]"),
        ("[rows]\nsize_ratio = 1.0\n", ":1: 'rows' takes a list", "[[rows]]"),
        (
            "[limits]\nsize_ratio = 1.0\n[[rows]]\nsize_ratio = 1.0\n[[rows]]\nengine = 'a'\nsize_ratio = -1\n",
            ":7: 'size_ratio' is -1",
            "it takes a ratio above 0",
        ),
        ("[[rows]]\nengine = 3\n", ":2: 'engine' takes a text", 'engine = "int8*"'),
        ("[[rows]]\nrecipe = 'int8'\n", ":2: unknown key 'recipe'", "known:"),
        ("[limits\n", ":1: not a TOML file", None),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        load_policy(write(tmp_path, text))
    assert f"policy.toml{message}" in caught.value.message and "\n" not in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none.toml"):
        load_policy(tmp_path / "none.toml")
