"""A ``.tflite`` whose largest float constant is stored sparse, in half precision, as MediaPipe's files are."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils


def sparse(data: bytes) -> bytes:
    """*data* with the smaller half of that constant's values gone, and what unpacks it when the file is loaded."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    graph = model.subgraphs[0]
    number = max(
        (
            index
            for index, each in enumerate(graph.tensors)
            if _floats(model, each) is not None and len(each.shape) == 4
        ),
        key=lambda index: int(np.prod(graph.tensors[index].shape)),
    )
    dense = graph.tensors[number]
    values = _floats(model, dense)
    assert values is not None
    values = np.where(np.abs(values) < np.median(np.abs(values)), 0, values).astype(np.float16).reshape(dense.shape)
    packed = schema.TensorT()
    packed.name, packed.shape, packed.type = b"packed", list(dense.shape), schema.TensorType.FLOAT16
    packed.sparsity, kept = _compressed(values)
    packed.buffer = _buffer(model, kept.tobytes())
    half = schema.TensorT()
    half.name, half.shape, half.type, half.buffer = b"half", list(dense.shape), schema.TensorType.FLOAT16, 0
    graph.tensors += [packed, half]
    dense.buffer = _buffer(model, None)
    steps = [
        _operator(model, schema.BuiltinOperator.DENSIFY, len(graph.tensors) - 2, len(graph.tensors) - 1),
        _operator(model, schema.BuiltinOperator.DEQUANTIZE, len(graph.tensors) - 1, number),
    ]
    graph.operators = [*steps, *graph.operators]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _floats(model: Any, tensor: Any) -> np.ndarray | None:
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data) or tensor.type != schema.TensorType.FLOAT32:
        return None
    return np.frombuffer(bytes(data), np.float32)


def _compressed(values: np.ndarray) -> tuple[Any, np.ndarray]:
    """*values* of four axes, with the last one compressed."""
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.dimMetadata = list(range(values.ndim)), []
    for size in values.shape[:-1]:
        level = schema.DimensionMetadataT()
        level.format, level.denseSize = 0, size
        sparsity.dimMetadata.append(level)
    rows = values.reshape(-1, values.shape[-1])
    last = schema.DimensionMetadataT()
    last.format = 1
    last.arraySegmentsType = last.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    last.arraySegments, last.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    last.arraySegments.values = [0, *np.cumsum([int((row != 0).sum()) for row in rows]).tolist()]
    last.arrayIndices.values = [int(index) for row in rows for index in np.flatnonzero(row)]
    sparsity.dimMetadata.append(last)
    return sparsity, values[values != 0]


def _buffer(model: Any, data: bytes | None) -> int:
    buffer = schema.BufferT()
    buffer.data = None if data is None else np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _operator(model: Any, builtin: int, source: int, result: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 3
    code.version = 1 if builtin == schema.BuiltinOperator.DENSIFY else 3
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, [source], [result]
    return operator
