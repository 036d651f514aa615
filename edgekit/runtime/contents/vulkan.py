"""Vulkan's part of a ``.pte``: a header, a graph as a flatbuffer, its constants stored beside it."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from edgekit.runtime.contents.flatbuffer import Schema, Table, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, shown
from edgekit.runtime.contents.sizes import MAX_VALUES

SCHEMA = Schema.of("vulkan")

#: ``VkDataType``: numpy's name and bytes of one value.
DTYPES = {
    0: ("bool", 1), 1: ("uint8", 1), 2: ("int8", 1), 3: ("int32", 4), 4: ("float16", 2), 5: ("float32", 4),
    6: ("float64", 8), 7: ("int64", 8),
}  # fmt: skip
_NAMED = (1 << 64) - 1


def read(payload: memoryview, named: Mapping[str, memoryview]) -> Table:
    """The graph in Vulkan's part of a ``.pte``: the table ``VkGraph`` of ExecuTorch's schema.

    Args:
        payload: The part.
        named: The program's named data.

    Raises:
        Refused: It brings shaders of its own, or operators that are not PyTorch's or the backend's.
        Malformed: It is none, or damaged.
    """
    if len(payload) < 30 or bytes(payload[4:8]) != b"VH00":
        raise Malformed("Vulkan's part has no VH00 identifier")
    header, begin, size, behind, count = struct.unpack_from("<HIIIQ", payload, 8)
    if header < 30 or begin + size > len(payload) or behind + count > len(payload):
        raise Malformed("the header of Vulkan's part is damaged")
    graph = decode(payload[begin : begin + size], SCHEMA, "VkGraph", b"VK00")
    if graph["shaders"]:
        raise Refused("Vulkan's part brings shaders of its own", "runs its own code on the GPU")
    stored = [_stored(entry, named, count) for entry in graph["constants"]]
    values = graph["values"]
    for value in values:
        _value(value, values, stored)
    for call in graph["chain"]:
        if not call["name"].startswith(("aten.", "et_vk.", "dim_order_ops.", "quantized_decomposed.", "torchao.")):
            raise Refused(f"Vulkan's part holds the operator {shown(call['name'])}", "runs what edgekit does not know")
        _inside(call["args"], len(values))
    _inside(graph["input_ids"], len(values))
    _inside(graph["output_ids"], len(values))
    return graph


def node_names(graph: Table) -> list[str]:
    """The names of the operators of a graph in order, ``aten.relu.default`` and the like."""
    return [call["name"] for call in graph["chain"]]


def _stored(entry: Table, named: Mapping[str, memoryview], count: int) -> int:
    size: int = entry["length"]
    if entry["offset"] == _NAMED or entry["named_key"]:
        if entry["named_key"] not in named or len(named[entry["named_key"]]) < size:
            raise Malformed("a constant of Vulkan's part is not in the file")
    elif entry["offset"] + size > count:
        raise Malformed("a constant of Vulkan's part is outside of the file")
    return size


def _value(value: Table, values: list[Table], stored: list[int]) -> None:
    kind, found = value["value_type"], value["value"]
    if found is None:
        raise Malformed("a value of Vulkan's part is none")
    if kind == "ValueList":
        _inside(found["items"], len(values))
    elif kind == "VkTensor":
        count = math.prod(found["dims"])
        if found["datatype"] not in DTYPES or count > MAX_VALUES or not -1 <= found["constant_id"] < len(stored):
            raise Malformed("a tensor of Vulkan's part has no type or shape that there is")
        if found["constant_id"] >= 0 and stored[found["constant_id"]] < count * DTYPES[found["datatype"]][1]:
            raise Malformed("a constant of Vulkan's part is outside of the file")


def _inside(numbers: memoryview, count: int) -> None:
    if any(not 0 <= number < count for number in numbers):
        raise Malformed("a value is outside of Vulkan's part")
