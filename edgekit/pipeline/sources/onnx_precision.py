"""The floats of an ONNX model: all of them made float32, and each moved to the number next to it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from edgekit.pipeline.sources.rounding import next_floats

_OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
#: Attributes that name an element type, by operator.
_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision"}
#: Inputs of operators that are sizes and exponents: the number next to them is no rounding of it.
_EXACT = {"Resize": (1, 2), "Upsample": (1,), "Range": (0, 1, 2), "Pow": (1,), "Mod": (1,), "OneHot": (2,)}


def in_float32(model: onnx.ModelProto) -> None:
    """Make *model* compute in float32 what it has of other floats."""
    for graph in (model.graph, *model.functions):
        for each in _graphs(graph):
            for value in (*each.value_info, *getattr(each, "output", ()), *getattr(each, "input", ())):
                if isinstance(value, onnx.ValueInfoProto) and value.type.tensor_type.elem_type in _OTHER_FLOATS:
                    value.type.tensor_type.elem_type = TensorProto.FLOAT
            for tensor in _tensors(each):
                if tensor.data_type in _OTHER_FLOATS:
                    _write(tensor, numpy_helper.to_array(tensor).astype(np.float32))
            for node in each.node:
                for attribute in node.attribute:
                    if attribute.name in _TYPE_ATTRIBUTES and attribute.i in _OTHER_FLOATS:
                        attribute.i = TensorProto.FLOAT


def nudged(model: onnx.ModelProto, random: np.random.Generator) -> onnx.ModelProto:
    """*model* with every weight moved to a number next to it; see `edgekit.pipeline.sources.rounding`."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    for graph in _graphs(moved.graph):
        exact = {node.input[at] for node in graph.node for at in _EXACT.get(node.op_type, ()) if at < len(node.input)}
        for tensor in graph.initializer:
            if tensor.data_type == TensorProto.FLOAT and tensor.name not in exact:
                _write(tensor, next_floats(numpy_helper.to_array(tensor), random))
        for node in graph.node:
            if node.op_type == "Constant" and node.output[0] not in exact:
                for attribute in node.attribute:
                    if attribute.t.data_type == TensorProto.FLOAT:
                        _write(attribute.t, next_floats(numpy_helper.to_array(attribute.t), random))
    return moved


def _write(tensor: onnx.TensorProto, array: np.ndarray) -> None:
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(array, name))


def _graphs(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """*graph* and those inside of its operators."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.type == AttributeProto.GRAPH else []), *attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.TensorProto]:
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
