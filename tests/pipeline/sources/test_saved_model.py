"""SavedModels as sources."""

from __future__ import annotations

import pytest
from support.keras_facts import tensorflow_facts


def test_signature_and_outputs_are_those_of_serving_default() -> None:
    facts = tensorflow_facts()["saved_model"]
    assert facts["framework"] == "tensorflow"
    assert [spec["shape"] for spec in facts["signature"]["inputs"]] == [[1, 32, 32, 3]]
    assert [spec["shape"] for spec in facts["signature"]["outputs"]] == [[1, 4]]
    assert facts["snr_db"] > 100
    assert facts["parameter_count"] == tensorflow_facts()["models"]["mobile"]["parameter_count"]


@pytest.mark.parametrize("case", ["no SavedModel", "damaged SavedModel", "no signature"])
def test_a_directory_that_cannot_be_used_is_refused(case: str) -> None:
    error = tensorflow_facts()["refusals"][case]
    assert (error["kind"], error["code"]) == ("UsageError", "EK-SOURCE")
    assert "\n" not in error["message"] and error["hint"]
