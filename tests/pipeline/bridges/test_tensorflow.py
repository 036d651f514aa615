"""TensorFlow's models and .tflite files as ONNX: with the names, order and shapes of the source, and its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from support.tensorflow_facts import facts, folder
from support.tensorflow_models import CASES, SAMPLES

from edgekit.names import distinct
from edgekit.tensors import Signature

pytestmark = pytest.mark.slow

#: What is computed in int8 is rounded and cut off there: how near float stays to that, in dB, is all there is to say.
QUANTIZED = {"int8": 10, "int8 in and out": 5}


def session(name: str) -> Any:
    return onnxruntime.InferenceSession(folder() / f"{name}.onnx", providers=["CPUExecutionProvider"])


def signature(name: str) -> Signature:
    return Signature.from_json(facts()["cases"][name]["signature"])


@pytest.mark.parametrize("name", CASES)
def test_names_order_and_shapes_are_those_of_the_source(name: str) -> None:
    found, wanted = session(name), signature(name)
    written = [*found.get_inputs(), *found.get_outputs()]
    specs = [*wanted.inputs, *wanted.outputs]
    assert [each.name for each in written] == list(distinct(spec.name for spec in specs))
    assert [tuple(each.shape) for each in written] == [spec.shape for spec in specs]


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_those_of_the_source(name: str) -> None:
    run, wanted = session(name), signature(name)
    inputs, outputs = (dict(np.load(folder() / f"{name}.{side}.npz")) for side in ("inputs", "outputs"))
    for at in range(SAMPLES):
        given = {key: array[at : at + 1] for key, array in inputs.items()}
        for spec, value in zip(wanted.outputs, run.run(None, given), strict=True):
            assert value.dtype == np.dtype(spec.dtype)
            expected = outputs[spec.name][at : at + 1].astype(float)
            if name in QUANTIZED:
                noise = np.square(value - expected).mean()
                assert noise < expected.var() / 10 ** (QUANTIZED[name] / 10)
            else:
                np.testing.assert_allclose(value.astype(float), expected, rtol=0, atol=1e-5)


def test_what_is_quantized_is_said_to_lose_its_rounding() -> None:
    cases = facts()["cases"]
    said = {name for name, case in cases.items() if any("computes in float" in each for each in case["warnings"])}
    assert said == {"int8", "int8 in and out"}


def test_operators_without_an_equivalent_are_named() -> None:
    error = facts()["refused"]["operators"]
    assert error["code"] == "EK-UNSUPPORTED" and "nothing for BesselI0, Erfinv" in error["message"] and error["hint"]


def test_operators_that_tf2onnx_leaves_are_named() -> None:
    error = facts()["refused"]["operators of lite"]
    assert error["code"] == "EK-UNSUPPORTED" and "nothing for RFFT2D" in error["message"] and error["hint"]


def test_producers_are_named() -> None:
    assert facts()["cases"]["image"]["producers"].keys() == {"tf2onnx", "onnx", "tensorflow"}


def test_tf2onnx_reads_no_sparse_constants() -> None:
    """When this fails, `edgekit.pipeline.sources.tflite_graph.unpacked` need not unpack them."""
    assert "cannot reshape" in facts()["stock"]["sparse"]
