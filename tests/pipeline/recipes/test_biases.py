"""Biases of one axis, whatever the converter folded into them."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe import static_wi8_ai8
from support import case_exports

from edgekit.pipeline.exporters.litert import convert
from edgekit.pipeline.recipes.biases import flat_biases
from edgekit.pipeline.sources import SourceSpec
from edgekit.tensors import TensorSpec


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("units") / "model.tflite"
    inputs = (TensorSpec("x", (1, 8), "float32"),)
    convert(source=SourceSpec("torch", case_exports.__file__, "Units", inputs=inputs).to_json(), output=str(path))
    return path.read_bytes()


def biases(model: bytes) -> list[tuple[tuple[int, ...], int]]:
    """Shape and bytes of the last input of each operator with three: of each linear layer."""
    read = flatbuffer_utils.convert_bytearray_to_object(model)
    (graph,) = read.subgraphs
    last = [graph.tensors[operator.inputs[2]] for operator in graph.operators if len(operator.inputs) == 3]
    return [(tuple(map(int, tensor.shape)), len(read.buffers[tensor.buffer].data)) for tensor in last]


def run(model: bytes, row: np.ndarray) -> np.ndarray:
    runner = Interpreter(model_content=model).get_signature_runner()
    (output,) = runner(x=row).values()
    return np.array(output)


def test_the_stock_quantizer_mistakes_a_bias_of_two_axes(model: bytes) -> None:
    """When this fails, `flat_biases` can go."""
    assert biases(model)[-1] == ((1, 2), 8)
    quantizer = Quantizer(model, static_wi8_ai8())
    ranges = quantizer.calibrate({"serving_default": [{"x": case_exports.ROWS[:1]}]})
    assert biases(bytes(quantizer.quantize(ranges).quantized_model))[-1] == ((1, 2), 16)


def test_biases_have_one_axis_and_the_same_values(model: bytes) -> None:
    flat = flat_biases(model)
    assert biases(flat) == [((16,), 64), ((2,), 8)]
    for row in case_exports.ROWS[:4, None]:
        np.testing.assert_array_equal(run(flat, row), run(model, row))
    assert flat_biases(flat) is flat
