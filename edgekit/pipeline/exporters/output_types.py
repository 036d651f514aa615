"""Outputs of a ``.tflite`` keep their types when it is quantized."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer.transformation_performer import TransformationPerformer


@contextmanager
def kept_outputs() -> Iterator[None]:
    """Have ai-edge-quantizer give every output from a tensor of the type that it has in the float file.

    ai-edge-quantizer 0.10.0 exchanges a tensor for its float twin once per output and signature, takes the int8 twin of
    an input, and takes the readers' number -1, which means outputs, for the last operator, too. Symptoms: a tensor that
    is returned twice, or returned and read inside, and an input that is returned are int8 outputs, or none at all of
    the subgraph; and an int8 operator at the end of the graph is given floats ("failed to delegate SLICE node").
    """
    stock = TransformationPerformer.transform_graph

    def transform(self: TransformationPerformer, instructions: Any, model: Any, *rest: Any, **more: Any) -> None:
        before = [(list(graph.outputs), [tensor.type for tensor in graph.tensors]) for graph in model.subgraphs]
        last = [graph.operators[-1] for graph in model.subgraphs if graph.operators]
        stock(self, instructions, model, *rest, **more)
        for graph, (outputs, types) in zip(model.subgraphs, before, strict=True):
            graph.outputs = [_of_type(graph, number, types[number], model) for number in outputs]
            twins = {int(operator.outputs[0]): int(operator.inputs[0]) for operator in _dequantizing(graph, model)}
            for operator in graph.operators:
                whole = {graph.tensors[number].type for number in operator.outputs} == {schema.TensorType.INT8}
                if whole and any(operator is each for each in last):
                    operator.inputs = [twins.get(int(number), int(number)) for number in operator.inputs]
        for signature in model.signatureDefs or ():
            graph, (_, types) = model.subgraphs[signature.subgraphIndex], before[signature.subgraphIndex]
            for entry in signature.outputs:
                entry.tensorIndex = _of_type(graph, entry.tensorIndex, types[entry.tensorIndex], model)

    with patch.object(TransformationPerformer, "transform_graph", transform):
        yield


def _of_type(graph: Any, number: int, type: int, model: Any) -> int:
    """The tensor of that *type* with the values of tensor *number*."""
    if graph.tensors[number].type == type:
        return number
    found = (int(operator.outputs[0]) for operator in _dequantizing(graph, model) if operator.inputs[0] == number)
    return next(found, number)


def _dequantizing(graph: Any, model: Any) -> Iterator[Any]:
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            yield operator
