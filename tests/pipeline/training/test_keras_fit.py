"""Keras training on a few hundred digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.subprocesses import call


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keras")
    return call("support.training_tasks:keras_facts", backend="tensorflow", folder=str(folder))


def test_it_learns_and_says_how(facts: dict[str, Any]) -> None:
    result = facts["first"]
    assert [entry["epoch"] for entry in result["history"]] == [1, 2, 3]
    assert result["best_metric"] == max(entry["metric"] for entry in result["history"])
    assert result["best_metric"] > 40
    assert result["epochs_done"] == 3
    assert not result["interrupted"]
    assert Path(result["weights"]).suffix == ".keras"


def test_two_runs_give_the_same_weights(facts: dict[str, Any]) -> None:
    assert facts["digests"]["first"] == facts["digests"]["again"]


def test_an_interrupted_run_keeps_the_best_and_resumes_to_the_same_weights(facts: dict[str, Any]) -> None:
    assert facts["stopped"]["interrupted"]
    assert facts["stopped"]["epochs_done"] == 2
    assert facts["stopped"]["best_metric"] is not None
    assert not facts["resumed"]["interrupted"]
    assert facts["resumed"]["history"] == facts["first"]["history"]
    assert facts["digests"]["stopped"] != facts["digests"]["resumed"] == facts["digests"]["first"]


def test_probabilities_and_a_compiled_model_are_trained_too(facts: dict[str, Any]) -> None:
    assert facts["softmax"]["best_metric"] > 40
    assert facts["compiled"]["epochs_done"] == 1


def test_regression_lowers_the_loss(facts: dict[str, Any]) -> None:
    metrics = [entry["metric"] for entry in facts["regression"]["history"]]
    assert metrics[0] < metrics[-1] < 0


@pytest.mark.parametrize(
    ("case", "code"),
    [("torn", "EK-CHECKPOINT"), ("other", "EK-CHECKPOINT"), ("diverged", "EK-DIVERGED"), ("classes", "EK-DATA")],
)
def test_what_goes_wrong_has_a_code(facts: dict[str, Any], case: str, code: str) -> None:
    assert facts[case] == code


def test_nothing_half_written_is_left(facts: dict[str, Any]) -> None:
    assert facts["left"] == ["checkpoint.npz", "weights.keras"]
