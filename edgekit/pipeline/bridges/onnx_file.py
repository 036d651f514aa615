"""An ONNX model with the names, order, shapes and types of a signature, whatever a converter made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from edgekit.errors import ConversionError
from edgekit.names import distinct
from edgekit.tensors import Signature, TensorSpec

ELSEWHERE = "build with --format tflite, or write that part of the model with other operators"


def unsupported(operators: Iterable[str]) -> str:
    """What there is to say of *operators* that ONNX has not."""
    return f"ONNX, on the way to PyTorch, has nothing for {', '.join(operators)}"


def fitted(
    model: onnx.ModelProto, signature: Signature, inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """*model* as *signature* has it.

    In ONNX every name is used once: an output that is called as an input is, too, gets a number.

    Args:
        inputs, outputs: What the signature's are called in the model. An input that nothing reads may be missing.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: the converter left operators in it that ONNX does not have; ``EK-EXPORT``:
            it gave a tensor another shape or type.
    """
    read = ir.serde.deserialize_model(model)
    graph = read.graph
    nodes = ir.traversal.RecursiveGraphIterator(graph)
    strange = {node.op_type: None for node in nodes if not onnx.defs.has(node.op_type, node.domain)}
    if strange:  # tf2onnx 1.17 leaves RFFT2D of a .tflite as it is
        raise ConversionError("EK-UNSUPPORTED", unsupported(strange), ELSEWHERE)
    names = distinct(spec.name for spec in (*signature.inputs, *signature.outputs))
    known = {value.name: value for value in graph.inputs}
    made = {value.name: value for value in graph.outputs}
    if missing := [name for name in outputs if name not in made]:
        message = f"tf2onnx lost the output {missing[0]!r}"
        raise ConversionError("EK-EXPORT", message, "build with --format tflite")
    fresh = [known.get(name) or ir.Value() for name in inputs]
    for value, spec in zip(fresh, signature.inputs, strict=True):
        _fix(value, spec)
    given = [_own(graph, made[name], number, outputs) for number, name in enumerate(outputs)]
    for value, spec in zip(given, signature.outputs, strict=True):
        _fix(value, spec)
    _free(read, set(names), [*fresh, *given])
    for value, name in zip((*fresh, *given), names, strict=True):
        value.name = name
    graph.inputs[:] = fresh
    graph.outputs[:] = given
    return ir.serde.serialize_model(read)


def _own(graph: ir.Graph, value: ir.Value, number: int, outputs: Sequence[str]) -> ir.Value:
    """The value of an output that nothing else is: not an input, a constant, or another output."""
    again = value.name in outputs[:number]
    if value.producer() is not None and not again and not value.is_initializer():
        return value
    node = ir.node("Identity", [value])
    graph.append(node)
    return node.outputs[0]


def _fix(value: ir.Value, spec: TensorSpec) -> None:
    """Give *value* the shape of *spec*, where it has none that is another."""
    dtype = ir.DataType.from_numpy(np.dtype(spec.dtype))
    found = None if value.shape is None else [size if isinstance(size, int) else None for size in value.shape]
    fits = found is None or (
        len(found) == len(spec.shape) and all(a is None or a == b for a, b in zip(found, spec.shape, strict=True))
    )
    if not fits or value.dtype not in (None, dtype):
        there = f"{value.dtype}{found}"
        message = f"tf2onnx makes {there} of {spec.name!r}, which is {spec.dtype}{list(spec.shape)}"
        raise ConversionError("EK-EXPORT", message, "build with --format tflite")
    value.shape, value.dtype = ir.Shape(spec.shape), dtype


def _free(model: ir.Model, names: set[str], keep: Sequence[ir.Value]) -> None:
    """Rename whatever else in *model* has one of *names*."""
    kept = {id(value) for value in keep}
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        for value in node.outputs:
            if value.name in names and id(value) not in kept:
                value.name = f"{value.name}__inner"
    for name, value in list(model.graph.initializers.items()):
        if name in names:
            value.name = f"{name}__inner"
