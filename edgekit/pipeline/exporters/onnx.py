"""PyTorch -> ``.onnx`` for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from onnx_ir import to_proto
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.exported_program import float_program
from edgekit.runtime.engines import onnxruntime_cuda
from edgekit.runtime.engines.onnxruntime import ENGINE, names_in_file

#: Operator set 20 in IR version 10, which ONNX Runtime reads from 1.18 on
#: (https://onnxruntime.ai/docs/reference/compatibility.html).
_OPSET = 20
MINIMUM_RUNTIME = dict.fromkeys((ENGINE.name, onnxruntime_cuda.ENGINE.name), "1.18")


def export(*, source: Mapping[str, Any], output: str, batch: int = 1) -> dict[str, Any]:
    """Convert a source model to a float32 ``.onnx`` whose inputs and outputs have the signature's names.

    As `edgekit.pipeline.exporters.Exporter` has it. With its weights the file has to stay below 2 GB, protobuf's limit.
    """
    program, signature = float_program(source, batch)
    inputs, outputs = names_in_file(signature)
    converted = torch.onnx.export(
        program,
        dynamo=True,
        input_names=inputs,
        output_names=outputs,
        opset_version=_OPSET,
        verbose=False,
    )
    assert converted is not None  # it is, with dynamo=True
    model = ClearMetadataAndDocStringPass()(converted.model).model
    Path(output).write_bytes(to_proto(model).SerializeToString(deterministic=True))
    return record(("torch", "onnx", "onnxscript"), MINIMUM_RUNTIME)
