"""Biases of a ``.tflite`` as vectors."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_Builtin = schema.BuiltinOperator
_code = flatbuffer_utils.get_builtin_code_from_operator_code
#: Operator -> which of its inputs is the bias.
_INPUTS = {
    _Builtin.FULLY_CONNECTED: 2,
    _Builtin.CONV_2D: 2,
    _Builtin.DEPTHWISE_CONV_2D: 2,
    _Builtin.CONV_3D: 2,
    _Builtin.TRANSPOSE_CONV: 3,
}


def flat_biases(model: bytes) -> bytes:
    """The float ``.tflite`` *model* with every bias of one axis; as it is where that is so already.

    litert-converter 0.5.0 folds ``linear(x) * size``, as models end that give metres or degrees, into one operator with
    a bias of shape ``[1, N]``. ai-edge-quantizer 0.10.0 takes it for ``[N]``, and divides it by scales of ``[N, 1]``.
    Symptom: the bias has ``N * N`` values, and the int8 file cannot be read. A bias that something else reads, too,
    stays as it is.
    """
    read = flatbuffer_utils.convert_bytearray_to_object(model)
    bent = [tensor for graph in read.subgraphs for tensor in _bent(read, graph)]
    if not bent:
        return model
    for tensor in bent:
        tensor.shape, tensor.shapeSignature = [max(tensor.shape)], None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(read))


def _bent(model: Any, graph: Any) -> list[Any]:
    """The constants of *graph* that only serve as biases, and have more than one axis, all but one of them 1."""
    as_bias: dict[int, set[bool]] = defaultdict(set)
    for operator in graph.operators:
        input_index = _INPUTS.get(_code(model.operatorCodes[operator.opcodeIndex]))
        for index, number in enumerate(operator.inputs):
            as_bias[int(number)].add(index == input_index)
    biases = [graph.tensors[number] for number, uses in as_bias.items() if number >= 0 and uses == {True}]
    return [
        tensor
        for tensor in biases
        if model.buffers[tensor.buffer].data is not None
        and len(tensor.shape) > 1
        and sorted(tensor.shape)[:-1] == [1] * (len(tensor.shape) - 1)
    ]
