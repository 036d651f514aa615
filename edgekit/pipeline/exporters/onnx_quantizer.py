"""A float ``.onnx`` -> static int8, by ONNX Runtime's own quantizer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.inputs import calibration_samples
from edgekit.pipeline.exporters.onnx import MINIMUM_RUNTIME
from edgekit.pipeline.recipes.onnx import float_nodes
from edgekit.pipeline.work.events import Step, emit
from edgekit.recipes import RECIPES

_QUANTIZED = "QuantizeLinear"


class _Samples(quantization.CalibrationDataReader):
    """Samples one after the other, as ONNX Runtime's quantizer asks for them."""

    def __init__(self, samples: Iterator[dict[str, np.ndarray]]):
        self._samples = samples

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def quantize(*, base: str, recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Quantize a float32 ``.onnx``: pairs of ``QuantizeLinear`` and ``DequantizeLinear`` around its operators, weights
    in int8 by channel, activations in int8 by the extremes over all samples. Input and output stay float32.

    As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        UsageError: ``EK-DATA``: calibration samples are missing.
        ConversionError: ``EK-QUALITY``: there is nothing to quantize.
    """
    model = onnx.load(base)
    shapes = {
        value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in model.graph.input
    }
    samples = calibration_samples(calibration, recipe, shapes)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    emit(Step("calibrating"))
    with _without_advice():
        quantization.quantize_static(
            model,
            output,
            _Samples(samples),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=float_nodes(model),
        )
    made = onnx.load(output)
    if not any(node.op_type == _QUANTIZED for node in made.graph.node):
        what = f"{recipe} changes nothing here: it quantizes no operator of this model"
        raise ConversionError("EK-QUALITY", what, RECIPES[recipe].instead)
    del made.metadata_props[:]
    Path(output).write_bytes(made.SerializeToString(deterministic=True))
    return record(("onnxruntime",), MINIMUM_RUNTIME)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep it from advising, on the root logger, to run a step that torch's exporter has done."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
