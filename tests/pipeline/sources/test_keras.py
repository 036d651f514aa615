"""Keras models as sources, on TensorFlow."""

from __future__ import annotations

import pytest
from support.keras_facts import MODELS, tensorflow_facts

REFUSED = {
    "missing file": ("EK-SOURCE", "absent.keras"),
    "cut short": ("EK-SOURCE", "cut.keras is cut short"),
    "no archive": ("EK-SOURCE", "text.keras is cut short, or no .keras file"),
    "open dimensions": ("EK-SOURCE", "'photo' has open dimensions (None, None, None, 3)"),
    "fixed batch": ("EK-SOURCE", "'rows' has the shape (8, 4): its first axis is not that of one sample"),
    "not finite": ("EK-CHECKPOINT", "hold NaN or infinity"),
    "weights cut short": ("EK-CHECKPOINT", "cut.keras is cut short"),
    "no model returned": ("EK-CODE", "project.py:none() returned int, not a keras.Model"),
    "factory fails": ("EK-CODE", "project.py:5: ZeroDivisionError: division by zero"),
    "no such factory": ("EK-CODE", "project.py has no function 'nome'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_that_cannot_be_used_is_refused_in_one_line_with_a_hint(case: str) -> None:
    error = tensorflow_facts()["refusals"][case]
    code, words = REFUSED[case]
    assert error["kind"] == "UsageError"
    assert error["code"] == code
    assert words in error["message"]
    assert "\n" not in error["message"] and error["hint"]


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_float32_and_do_not_depend_on_the_batch(name: str) -> None:
    facts = tensorflow_facts()["models"][name]
    assert facts["varies"], "a constant output would pass every comparison"
    assert facts["batch_of_one_db"] > 100
    assert set(facts["output_dtypes"]) == {"float32"}
    assert all(spec["shape"][0] == 1 for side in facts["signature"].values() for spec in side)


def test_names_and_order_are_those_of_the_model() -> None:
    signature = tensorflow_facts()["models"]["squeeze"]["signature"]
    assert [spec["name"] for spec in signature["inputs"]] == ["pixels", "extra"]
    assert [spec["name"] for spec in signature["outputs"]] == ["second", "first"]
    assert signature["inputs"][0] == {"name": "pixels", "shape": [1, 8, 8, 6], "dtype": "float32"}
    words = tensorflow_facts()["models"]["words"]["signature"]
    assert words["inputs"] == [{"name": "tokens", "shape": [1, 20], "dtype": "int32"}]


def test_batch_norm_statistics_are_no_parameters() -> None:
    facts = tensorflow_facts()["models"]["mobile"]
    assert facts["parameter_count"] == facts["counted"]["trainable"] < facts["counted"]["variables"]


def test_a_model_without_inputs_takes_them_from_the_project() -> None:
    facts = tensorflow_facts()["python_file"]
    assert facts["signature"]["inputs"] == [{"name": "row", "shape": [1, 6], "dtype": "float32"}]
    assert facts["without inputs"]["code"] == "EK-SOURCE"


@pytest.mark.parametrize("weights", ["own.keras", "own.weights.h5"])
def test_trained_weights_replace_those_of_the_factory(weights: str) -> None:
    assert tensorflow_facts()["python_file"]["snr_db"][weights] > 130
