"""ONNX models for tests: of one operator, or as PyTorch's two exporters write a small network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.onnx import OnnxSource, open_source
from edgekit.runtime.engines import onnxruntime


class ConvLstmAttention(torch.nn.Module):
    """Of each kind of layer that an exporter has its own way with, one."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.front = torch.nn.Sequential(
            torch.nn.Conv1d(4, width, 5, 2, 2, bias=False), torch.nn.BatchNorm1d(width), torch.nn.ReLU()
        )
        self.lstm = torch.nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.attention = torch.nn.MultiheadAttention(2 * width, 4, batch_first=True)
        self.norm = torch.nn.LayerNorm(2 * width)
        self.head = torch.nn.Sequential(
            torch.nn.Linear(2 * width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, 5)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.lstm(self.front(x).transpose(1, 2))
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def conv_lstm_attention(width: int = 16) -> torch.nn.Module:
    torch.manual_seed(0)
    module = ConvLstmAttention(width).eval()
    module.front[1].running_mean.normal_()
    module.front[1].running_var.uniform_(0.5, 2)
    return module


def export(module: torch.nn.Module, example: torch.Tensor, path: Path, *, new: bool, **options: Any) -> Path:
    """*module* in the file *path*, by PyTorch's new exporter (opset 18) or the old one (opset 17)."""
    options = {"opset_version": 18 if new else 17, "input_names": ["x"], "output_names": ["y"], **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example,), path, dynamo=new, verbose=False, **options)
    return path


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[str, Sequence[int | str | None]]],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model of *nodes*; of the *inputs*, dtype and shape, of the *outputs* nothing is said."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (dtype, shape) in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def opened(model: onnx.ModelProto, path: Path, **spec: Any) -> OnnxSource:
    path.write_bytes(model.SerializeToString())
    return open_source(SourceSpec("onnx", str(path), **spec))


def run(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What ONNX Runtime gives."""
    library = onnxruntime.library()
    session = library.InferenceSession(
        model.SerializeToString(), onnxruntime.options(1), providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(inputs))  # type: ignore[no-any-return]


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """*model* with all its floats in half precision."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for each in (*changed.graph.input, *changed.graph.output):
        if each.type.tensor_type.elem_type == TensorProto.FLOAT:
            each.type.tensor_type.elem_type = TensorProto.FLOAT16
    for tensor in changed.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name))
    return changed
