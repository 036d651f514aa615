"""``.onnx``: the inputs of its graph that are no weights, and its outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from edgekit.runtime.contents.onnx import DTYPES, OnnxModel, read
from edgekit.runtime.given.interface import Axis, FileTensor, Interface, Method, interface
from edgekit.runtime.given.precision import Stored, recipe_of

_QUANTIZES = frozenset({"QuantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear"})
_DYNAMIC = "DynamicQuantizeLinear"


def describe(data: bytes | memoryview) -> Interface:
    """The interface of an ``.onnx`` file. Raises as `edgekit.runtime.contents.check`."""
    found = read(data)
    graph = found.model["graph"]
    weights = {tensor.get("name", "") for tensor in graph.get("initializer", ())}
    inputs = tuple(_tensor(value) for value in graph.get("input", ()) if value.get("name", "") not in weights)
    outputs = tuple(map(_tensor, graph.get("output", ())))
    operators = set(found.operators)
    quantized = not operators.isdisjoint(_QUANTIZES) and _DYNAMIC not in operators
    return interface(Method(inputs, outputs), recipe=recipe_of(_stored(found), quantized))


def _tensor(value: Any) -> FileTensor:
    told = value.get("type", {}).get("tensor_type")
    name = str(value.get("name", ""))
    if told is None:
        return FileTensor(name, (), "no tensor")
    kind = DTYPES.get(told.get("elem_type", 0), ("of an unknown type",))[0]
    shape = told.get("shape")
    if shape is None:
        return FileTensor(name, (), f"{kind} of any number of axes")
    return FileTensor(name, tuple(_axis(axis) for axis in shape.get("dim", ())), kind)


def _axis(axis: Any) -> Axis:
    """Its size, or its name, or None."""
    size = axis.get("dim_value")
    if size is not None and size > 0:
        return int(size)
    return axis_name(str(axis.get("dim_param", "")))


def axis_name(text: str) -> str | None:
    """The name of an open axis; None for the mark of one without, ``?`` in files of Paddle: two of those may differ."""
    name = text.strip()
    return name if name and name != "?" else None


def _stored(found: OnnxModel) -> Iterator[Stored]:
    tensors = [tensor for graph in found.graphs for tensor in graph.get("initializer", ())]
    for node in found.nodes:
        if node["op_type"] == "Constant":
            tensors += [each["t"] for each in node.get("attribute", ()) if each.get("t") is not None]
    for tensor in tensors:
        dtype, bits, _ = DTYPES[tensor["data_type"]]
        yield Stored(dtype, math.prod(tensor.get("dims", ())) * bits // 8)
