"""``.onnx``: the graph's initializers and operators, by the ``onnx`` package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edgekit.pipeline.inspection import Constant, FileFacts

_KINDS = {
    "Conv": "convolution",
    "ConvTranspose": "convolution",
    "Gemm": "linear",
    "MatMul": "linear",
    "LSTM": "recurrent",
    "GRU": "recurrent",
    "RNN": "recurrent",
}
#: Constants are tensors like the initializers, only written down as operators.
_CONSTANT = "Constant"


def read(data: bytes) -> FileFacts:
    """The facts of an ``.onnx`` file. What ONNX Runtime has on the CPU is no delegate.

    Raises:
        ValueError: It is none, or keeps tensors in other files.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not model.graph.node:
        raise ValueError("no graph")
    graphs = [*_graphs(model.graph), *model.functions]
    nodes = [node for graph in graphs for node in graph.node]
    calls = Counter(node.op_type for node in nodes if node.op_type != _CONSTANT)
    tensors = [tensor for graph in graphs for tensor in getattr(graph, "initializer", ())]
    tensors += [attribute.t for node in nodes if node.op_type == _CONSTANT for attribute in node.attribute]
    return FileFacts.undelegated(map(_constant, tensors), calls, _KINDS)


def _graphs(graph: Any) -> Iterator[Any]:
    """*graph* and the graphs inside its operators: bodies of loops and branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _constant(tensor: Any) -> Constant:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"the tensor {tensor.name!r} is in another file")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return Constant(dtype.name, len(tensor.dims), int(np.prod(tensor.dims)) * dtype.itemsize)
