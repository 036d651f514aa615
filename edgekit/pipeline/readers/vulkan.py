"""Vulkan's graph inside a ``.pte``: a flatbuffer, its weights stored beside it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.pipeline.inspection import Constant
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.pipeline.readers.flatbuffer import parse

SCHEMA = "backends/vulkan/serialization/schema.fbs"
#: What the backend adds: values in another layout on the GPU, and weights put into one.
_PLUMBING = ("aten.clone.default", "et_vk.prepack.default")


def read(payload: bytes) -> Delegate:
    """What is in Vulkan's part of a ``.pte``.

    Raises:
        ValueError: It is none.
    """
    if payload[4:8] != b"VH00":
        raise ValueError("no VH00 identifier")
    offset, size = struct.unpack_from("<II", payload, 10)
    graph = parse(payload[offset : offset + size], SCHEMA)
    operators = tuple(call["name"] for call in graph["chain"] if call["name"] not in _PLUMBING)
    return Delegate(operators, dict(_constants(graph)), {name: kind for name in operators if (kind := _kind(name))})


def _constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of the graph, by their SHA-256: equal ones are stored once."""
    for value in graph["values"]:
        tensor = value["value"]
        if value["value_type"] == "VkTensor" and tensor["constant_id"] >= 0:
            stored = graph["constants"][tensor["constant_id"]]
            # VkDataType spells a type as numpy does, but in capitals.
            yield stored["named_key"], Constant(tensor["datatype"].lower(), len(tensor["dims"]), stored["length"])


def _kind(name: str) -> str | None:
    """``et_vk.conv_with_clamp.default`` is a convolution, one of a dozen."""
    operator = name.split(".")[1]
    if operator.startswith("conv"):
        return "convolution"
    return "linear" if operator.startswith(("linear", "mm", "bmm", "addmm")) else None
