"""Model files as people have them: none of them was made for edgekit. By LiteRT's and ONNX's own writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.hostile_files import tflite_with

_FLOAT = TensorProto.FLOAT


def without_signatures(data: bytes, *, names: Sequence[str] = (), change: Callable[[Any], None] | None = None) -> bytes:
    """The ``.tflite`` *data* without signatures; its inputs and outputs called *names*, in this order."""

    def apply(model: Any) -> None:
        model.signatureDefs = []
        graph = model.subgraphs[0]
        for index, name in zip([*graph.inputs, *graph.outputs], names, strict=False):
            graph.tensors[index].name = name
        if change is not None:
            change(model)

    return tflite_with(data, apply)


def with_open_axes(data: bytes, shapes: dict[int, list[int]]) -> bytes:
    """The ``.tflite`` *data*, in which tensors have these signatures of their shape: -1 is open."""

    def apply(model: Any) -> None:
        for index, shape in shapes.items():
            model.subgraphs[0].tensors[index].shapeSignature = shape

    return tflite_with(data, apply)


def doubling_tflite(shape: Sequence[int], open_shape: Sequence[int] | None = None) -> bytes:
    """``y = x + x``, whose axes may be open (-1)."""
    return _tflite(_tensors(shape, open_shape))


def int8_doubling_tflite() -> bytes:
    """``y = x + x`` in int8: scale 0.5 and zero point 3 inwards, 1 and -2 outwards."""
    tensors = _tensors((1, 4), None)
    from ai_edge_litert import schema_py_generated as schema

    for tensor, scale, zero_point in zip(tensors, (0.5, 1.0), (3, -2), strict=True):
        tensor.type = schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
    return _tflite(tensors)


def counting_tflite() -> bytes:
    """``y`` is the sum of all ``x`` since the file was loaded: a variable of the second kind LiteRT has, a tensor."""
    from ai_edge_litert import schema_py_generated as schema

    x, state, y = (_tensor(name, (1, 2)) for name in ("x", "state", "y"))
    state.isVariable = True
    return _model(
        [x, state, y],
        [("ADD", (0, 1), (2,), schema.BuiltinOptions.AddOptions, schema.AddOptionsT())],
        (0,),
        (2,),
    )


def _tensors(shape: Sequence[int], open_shape: Sequence[int] | None) -> list[Any]:
    tensors = [_tensor(name, shape) for name in ("x", "y")]
    for tensor in tensors:
        tensor.shapeSignature = None if open_shape is None else list(open_shape)
    return tensors


def _tensor(name: str, shape: Sequence[int]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name, list(shape), schema.TensorType.FLOAT32
    return tensor


def _tflite(tensors: list[Any]) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    return _model(tensors, [("ADD", (0, 0), (1,), schema.BuiltinOptions.AddOptions, schema.AddOptionsT())], (0,), (1,))


def _model(tensors: list[Any], nodes: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    graph.tensors, graph.operators = tensors, []
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    for number, (name, taken, given, kind, options) in enumerate(nodes):
        code, node = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 2
        node.opcodeIndex, node.inputs, node.outputs = number, list(taken), list(given)
        node.builtinOptionsType, node.builtinOptions = kind, options
        model.operatorCodes.append(code)
        graph.operators.append(node)
    for tensor in tensors:
        tensor.buffer = 0
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_file(
    nodes: Sequence[Any],
    inputs: dict[str, Sequence[int | str | None]],
    outputs: dict[str, Sequence[int | str | None]],
    dtype: int = _FLOAT,
    weights: dict[str, np.ndarray] | None = None,
) -> bytes:
    """An ``.onnx`` of *nodes* (see ``onnx.helper.make_node``)."""
    values = [
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in side.items()]
        for side in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "given", *values, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def doubling_onnx(
    shape: Sequence[int | str | None], *, names: tuple[str, str] = ("x", "y"), out: Sequence[int | str | None] = ()
) -> bytes:
    x, y = names
    return onnx_file([helper.make_node("Add", [x, x], [y])], {x: shape}, {y: out or shape})
