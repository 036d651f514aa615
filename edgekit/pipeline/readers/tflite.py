"""``.tflite``: the flatbuffer's constants and operators, and what LiteRT hands to XNNPACK."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgekit.pipeline.inspection import Constant, FileFacts, peak_bytes

_KINDS = {
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "convolution",
    "TRANSPOSE_CONV": "convolution",
    "CONV_3D": "convolution",
    "FULLY_CONNECTED": "linear",
    "BATCH_MATMUL": "linear",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "recurrent",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "recurrent",
}
_DTYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()}
#: How ``Interpreter._get_ops_details`` calls a delegate's node.
_DELEGATE = "DELEGATE"


def read(data: bytes) -> FileFacts:
    """The facts of a ``.tflite`` file.

    Raises:
        ValueError: It is none, or LiteRT does not load it.
    """
    if data[4:8] != b"TFL3":
        raise ValueError("no TFL3 identifier")
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    nodes: list[dict[str, Any]] = interpreter._get_ops_details()
    delegated = _delegated(nodes)
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for node in nodes:
        if node["op_name"] != _DELEGATE:
            (inside if node["index"] in delegated else outside)[node["op_name"]] += 1
    return FileFacts.of(_constants(data), inside, outside, _KINDS, _arena_bytes(data))


def _arena_bytes(data: bytes) -> int:
    model = schema.Model.GetRootAs(data, 0)
    peaks = []
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        sizes = {
            index: math.prod(tensor.Shape(axis) for axis in range(tensor.ShapeLength())) * _width(tensor.Type())
            for index, tensor in ((index, graph.Tensors(index)) for index in range(graph.TensorsLength()))
            if not _stored_bytes(model.Buffers(tensor.Buffer()))
        }
        operators = (graph.Operators(index) for index in range(graph.OperatorsLength()))
        peaks.append(peak_bytes([_tensors_of(operator) for operator in operators], sizes))
    return max(peaks, default=0)


def _tensors_of(operator: Any) -> list[int]:
    inputs = [operator.Inputs(index) for index in range(operator.InputsLength())]
    return inputs + [operator.Outputs(index) for index in range(operator.OutputsLength())]


def _width(type_number: int) -> int:
    """Bytes of one value; those of the widest type where numpy has no such type (four bits, texts)."""
    try:
        return np.dtype(_DTYPES[type_number]).itemsize
    except TypeError:
        return 8


def _stored_bytes(buffer: Any) -> int:
    """Bytes in a buffer of constants; 0 for the buffer of a tensor that is computed."""
    # ai-edge-quantizer writes the contents of larger models behind the flatbuffer, and their place into it.
    return int(buffer.DataLength() or (buffer.Size() if buffer.Offset() > 1 else 0))


def _constants(data: bytes) -> Iterator[Constant]:
    """Every buffer with contents, once, under the type of the first tensor that reads it."""
    model = schema.Model.GetRootAs(data, 0)
    seen: set[int] = set()
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(index) for index in range(graph.TensorsLength())):
            size = _stored_bytes(model.Buffers(tensor.Buffer()))
            if size and tensor.Buffer() not in seen:
                seen.add(tensor.Buffer())
                yield Constant(_DTYPES[tensor.Type()], tensor.ShapeLength(), size)


def _delegated(nodes: list[dict[str, Any]]) -> set[int]:
    """The nodes that some delegate's node stands for: those between its inputs and its outputs."""
    producers = {
        int(tensor): node for node in nodes if node["op_name"] != _DELEGATE for tensor in node["outputs"] if tensor >= 0
    }
    found: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == _DELEGATE):
        border = {int(tensor) for tensor in delegate["inputs"]}
        pending = [int(tensor) for tensor in delegate["outputs"]]
        while pending:
            tensor = pending.pop()
            node = producers.get(tensor)
            if tensor in border or node is None or node["index"] in found:
                continue
            found.add(node["index"])
            pending += [int(source) for source in node["inputs"] if source >= 0]
    return found
