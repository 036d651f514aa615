"""A float ``.onnx`` -> static int8, by ONNX Runtime's own quantizer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
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
    """Samples by the file's names for its inputs, as many at a time as it takes."""

    def __init__(self, samples: Iterator[dict[str, np.ndarray]], model: onnx.ModelProto):
        weights = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in weights]
        self._names = [value.name for value in inputs]
        self._batch = inputs[0].type.tensor_type.shape.dim[0].dim_value or 1
        self._samples = samples

    def get_next(self) -> dict[str, np.ndarray] | None:
        group = [sample for sample, _ in zip(self._samples, range(self._batch), strict=False)]
        if not group:
            return None
        group += [group[-1]] * (self._batch - len(group))
        columns = zip(*(sample.values() for sample in group), strict=True)
        return {name: np.concatenate(column) for name, column in zip(self._names, columns, strict=True)}


def quantize(*, base: str, recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Quantize a float32 ``.onnx``: pairs of ``QuantizeLinear`` and ``DequantizeLinear`` around its operators, weights
    in int8 by channel, activations in int8 by the extremes over all samples. Input and output stay float32.

    As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        UsageError: ``EK-DATA``: calibration samples are missing.
        ConversionError: ``EK-QUALITY``: there is nothing to quantize.
    """
    samples = calibration_samples(calibration, recipe)
    model = onnx.load(base)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    emit(Step("calibrating"))
    logging.getLogger().setLevel(logging.ERROR)  # it advises to run a step that torch's exporter has done
    quantization.quantize_static(
        model,
        output,
        _Samples(samples, model),
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
