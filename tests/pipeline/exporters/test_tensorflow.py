"""Files that TensorFlow's converter writes, run by LiteRT."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from support.keras_facts import folder, tensorflow_facts

from edgekit.fidelity import snr_db
from edgekit.pipeline.readers.facts import inspect_file

SAMPLES = 32

#: Lowest signal-to-noise ratio in dB, around each column's mean, of any output.
QUALITY = {
    "mobile fp32": 100,
    "mobile fp16": 50,
    "mobile int8": 22,
    "squeeze fp32": 100,
    "sequence int8": 19,
    "detector int8": 25,
    "exported fp32": 100,
    "exported int8": 22,
}


@functools.cache
def quality_db(export: str) -> float:
    name, recipe = export.split()
    inputs = dict(np.load(folder() / f"{name}.inputs.npz"))
    expected = dict(np.load(folder() / f"{name}.outputs.npz"))
    run = Interpreter(model_path=str(folder() / f"{name}.{recipe}.tflite")).get_signature_runner("serving_default")
    answers = [run(**{key: array[at : at + 1] for key, array in inputs.items()}) for at in range(SAMPLES)]
    return min(
        snr_db(array[:SAMPLES], np.concatenate([answer[key] for answer in answers])) for key, array in expected.items()
    )


@pytest.mark.parametrize("export", QUALITY)
def test_file_answers_as_the_source_does_under_the_source_names(export: str) -> None:
    assert quality_db(export) >= QUALITY[export]


@pytest.mark.parametrize("export", QUALITY)
def test_inputs_and_outputs_are_float_with_a_batch_of_one(export: str) -> None:
    name, recipe = export.split()
    interpreter = Interpreter(model_path=str(folder() / f"{name}.{recipe}.tflite"))
    for detail in interpreter.get_input_details() + interpreter.get_output_details():
        assert detail["shape"][0] == 1 and detail["dtype"] == np.float32


@pytest.mark.parametrize("name", ["mobile", "exported"])
def test_int8_file_computes_in_int8_alone(name: str) -> None:
    facts = inspect_file(folder() / f"{name}.int8.tflite", "tflite")
    assert set(facts.weight_bytes) == {"int8"}
    assert facts.delegated_share == 100


def test_batch_norm_is_folded_and_no_variable_is_left() -> None:
    operators = inspect_file(folder() / "mobile.fp32.tflite", "tflite").operators
    assert not {"VAR_HANDLE", "READ_VARIABLE", "MUL", "RSQRT", "BATCH_MATMUL"} & set(operators)


def test_fp16_halves_the_weights() -> None:
    full = inspect_file(folder() / "mobile.fp32.tflite", "tflite").weight_bytes
    half = inspect_file(folder() / "mobile.fp16.tflite", "tflite").weight_bytes
    assert half == {"float16": full["float32"] // 2}


def test_record_names_producers_and_the_oldest_runtime() -> None:
    records = tensorflow_facts()["exports"]
    assert set(records["mobile fp32"]["producers"]) == {"keras", "tensorflow"}
    assert set(records["mobile fp32"]["minimum_runtime"]) == {"tflite"}


def test_an_operator_that_needs_tensorflow_on_the_device_is_refused_by_name() -> None:
    refusal = tensorflow_facts()["exports"]["refusal"]
    assert refusal["error"]["code"] == "EK-UNSUPPORTED"
    assert "Erfinv" in refusal["error"]["message"] and "Flex" not in refusal["error"]["message"]
    assert not refusal["file_left"]
