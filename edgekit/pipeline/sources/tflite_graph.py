"""A ``.tflite`` with one signature, fixed shapes and dense float constants, as converters take it.

LiteRT itself takes more: several signatures over one set of weights, axes of any size, weights that are stored sparse
or in half precision and unpacked when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools import flatbuffer_utils

from edgekit.pipeline.sources.rounding import next_floats
from edgekit.tensors import Signature

_Builtin = schema.BuiltinOperator
_code = flatbuffer_utils.get_builtin_code_from_operator_code
_DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT8: np.dtype(np.int8),
}
_SPARSE = 1  # ``DimensionType.SPARSE_CSR``


def only(data: bytes, signature: str | None) -> bytes:
    """The file with no signature but this one, whose graph comes first; as it is where it has no other."""
    model = read(data)
    found = model.signatureDefs or []
    if signature is None or len(found) < 2:
        return data
    (kept,) = (each for each in found if each.signatureKey == signature.encode())
    keep_reached(model, kept.subgraphIndex)
    kept.subgraphIndex, model.signatureDefs = 0, [kept]
    return write(model)


def keep_reached(model: Any, first: int) -> None:
    """Leave nothing in *model* but the graph of number *first*, which comes first, and those that it runs."""
    order = [first, *sorted(_reached(model, first) - {first})]
    positions = {number: position for position, number in enumerate(order)}
    model.subgraphs = [model.subgraphs[number] for number in order]
    for options, name in _calls(model.subgraphs):
        value = getattr(options, name)
        setattr(options, name, positions[value] if isinstance(value, int) else [positions[each] for each in value])
    _drop_unread(model)


def shaped(data: bytes, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """The file whose inputs have these *shapes*, by the names of their tensors, and all else what follows."""
    model = read(data)
    graph = model.subgraphs[0]
    for number in graph.inputs:
        tensor = graph.tensors[number]
        tensor.shape = list(shapes.get(tensor.name.decode(), tensor.shape))
        tensor.shapeSignature = None
    interpreter = Interpreter(
        model_content=write(model), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    for details in interpreter.get_tensor_details():
        # Those that the interpreter made for itself come behind the file's own.
        if details["index"] < len(graph.tensors) and graph.tensors[details["index"]].shapeSignature is not None:
            graph.tensors[details["index"]].shape = details["shape"].tolist()
            graph.tensors[details["index"]].shapeSignature = None
    return write(model)


def signed(data: bytes, signature: Signature) -> bytes:
    """The file with a signature of these names, where it has none."""
    model = read(data)
    if model.signatureDefs:
        return data
    graph, definition = model.subgraphs[0], schema.SignatureDefT()
    sides = ((signature.inputs, graph.inputs), (signature.outputs, graph.outputs))
    definition.inputs, definition.outputs = ([*map(_entry, specs, numbers)] for specs, numbers in sides)
    definition.signatureKey, definition.subgraphIndex = b"serving_default", 0
    model.signatureDefs = [definition]
    return write(model)


def unpacked(data: bytes) -> bytes:
    """The file with constants that are dense, and float32 where they are computed with; as it is where they are so.

    ai-edge-quantizer 0.10.0 quantizes no weights in half precision, and tf2onnx 1.17.0 reads none that are sparse
    ("cannot reshape array of size 77 into shape (8,1,1,32)").
    """
    model = read(data)
    steps = [_unpack(model, graph) for graph in model.subgraphs]
    if not any(steps):
        return data
    _drop_unread(model)
    return write(model)


def nudged(data: bytes, random: np.random.Generator) -> bytes:
    """The file with every float in it moved to a number next to it; see `edgekit.pipeline.sources.rounding`."""
    model = read(data)
    seen: set[int] = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            buffer, dtype = model.buffers[tensor.buffer], _DTYPES.get(tensor.type)
            if dtype is None or dtype.kind != "f" or buffer.data is None or tensor.buffer in seen:
                continue
            seen.add(tensor.buffer)
            values = next_floats(np.frombuffer(bytes(buffer.data), dtype), random)
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return write(model)


def _unpack(model: Any, graph: Any) -> bool:
    """Compute what `unpacked` does in one graph; whether there was anything."""
    left = []
    for operator in graph.operators:
        source = graph.tensors[operator.inputs[0]] if operator.inputs is not None and len(operator.inputs) else None
        values = None if source is None else _unpacked_values(model, operator, source)
        if values is None:
            left.append(operator)
            continue
        tensor = graph.tensors[operator.outputs[0]]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer, tensor.shape, tensor.shapeSignature = len(model.buffers) - 1, list(values.shape), None
    done = len(left) < len(graph.operators)
    graph.operators = left
    return done


def _unpacked_values(model: Any, operator: Any, source: Any) -> np.ndarray | None:
    """What an operator makes of a constant, once for all; None for one that computes."""
    code, data = _code(model.operatorCodes[operator.opcodeIndex]), model.buffers[source.buffer].data
    if data is None or not len(data) or source.type not in _DTYPES:
        return None
    stored = np.frombuffer(bytes(data), _DTYPES[source.type])
    if code == _Builtin.DENSIFY and source.sparsity is not None:
        return _dense(stored, source)
    if code == _Builtin.DEQUANTIZE and source.type == schema.TensorType.FLOAT16:
        return stored.astype(np.float32).reshape(source.shape)
    return None


def _dense(stored: np.ndarray, tensor: Any) -> np.ndarray:
    """The values of a sparse constant in their places.

    Format: the comment on ``SparsityParameters`` in LiteRT's ``schema.fbs``; the file was checked by
    `edgekit.runtime.contents.tflite`.
    """
    sparsity, shape = tensor.sparsity, [int(size) for size in tensor.shape]
    order = [int(axis) for axis in sparsity.traversalOrder]
    blocks = [int(axis) for axis in (() if sparsity.blockMap is None else sparsity.blockMap)]
    positions = np.zeros((1, 0), np.int64)  # a row for each entry so far, with its place at each level
    for level in sparsity.dimMetadata:
        if level.format == _SPARSE:
            segments, indices = (np.asarray(each.values) for each in (level.arraySegments, level.arrayIndices))
            rows, inner = np.repeat(np.arange(len(positions)), np.diff(segments)), indices
        else:
            rows = np.repeat(np.arange(len(positions)), level.denseSize)
            inner = np.tile(np.arange(level.denseSize), len(positions))
        positions = np.concatenate([positions[rows], inner.astype(np.int64)[:, None]], axis=1)
    column = {axis: positions[:, level] for level, axis in enumerate(order)}
    for number, axis in enumerate(blocks):
        size = sparsity.dimMetadata[order.index(len(shape) + number)].denseSize
        column[axis] = column[axis] * size + column[len(shape) + number]
    dense = np.zeros(shape, stored.dtype)
    dense[tuple(column[axis] for axis in range(len(shape)))] = stored
    return dense


def _entry(spec: Any, number: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = spec.name.encode(), int(number)
    return entry


def _calls(graphs: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Where operators of *graphs* name others: the object, and its attribute."""
    for graph in graphs:
        for operator in graph.operators or ():
            for options in filter(None, (operator.builtinOptions, operator.builtinOptions2)):
                for name, value in vars(options).items():
                    if name.lower().endswith(("subgraphindex", "subgraphindices")) and value is not None:
                        yield options, name


def _reached(model: Any, first: int) -> set[int]:
    found, pending = {first}, [first]
    while pending:
        for options, name in _calls([model.subgraphs[pending.pop()]]):
            value = getattr(options, name)
            fresh = {value} - found if isinstance(value, int) else {int(each) for each in value} - found
            found |= fresh
            pending += fresh
    return found


def _drop_unread(model: Any) -> None:
    """Empty the buffers that nothing in *model* reads any more; the first one is empty by rule."""
    read = {entry.buffer for entry in model.metadata or ()}
    for graph in model.subgraphs:
        used = {int(number) for operator in graph.operators for number in (*operator.inputs, *operator.outputs)}
        used |= {int(number) for number in (*graph.inputs, *graph.outputs)}
        for number, tensor in enumerate(graph.tensors):
            if number in used:
                read.add(tensor.buffer)
            else:
                tensor.buffer, tensor.sparsity = 0, None
    for number, buffer in enumerate(model.buffers):
        if number not in read:
            buffer.data = None


def read(data: bytes) -> Any:
    """The tables of a file, as LiteRT's ``schema.fbs`` names them, to be changed."""
    return flatbuffer_utils.convert_bytearray_to_object(bytearray(data))


def write(model: Any) -> bytes:
    """The file of these tables."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
