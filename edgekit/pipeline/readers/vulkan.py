"""Vulkan's graph inside a ``.pte``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekit.pipeline.readers.facts import Call, Constant, Delegate
from edgekit.runtime.contents.pte import Part
from edgekit.runtime.contents.vulkan import DTYPES

#: What the backend adds: values in another layout on the GPU, and weights put into one.
_PLUMBING = ("aten.clone.default", "et_vk.prepack.default")


def read(part: Part) -> Delegate:
    """What is in Vulkan's part of a ``.pte``."""
    assert part.graph is not None
    values = part.graph["values"]
    calls = tuple(
        Call(call["name"], _work(call, values), delegated=True)
        for call in part.graph["chain"]
        if call["name"] not in _PLUMBING
    )
    return Delegate(
        calls, dict(_constants(part.graph)), {call.name: kind for call in calls if (kind := _kind(call.name))}
    )


def _work(call: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> int:
    """Values in the last tensor of a call, its output; for each of them, what one row of its weights takes."""
    shapes = [
        list(values[number]["value"]["dims"]) for number in call["args"] if values[number]["value_type"] == "VkTensor"
    ]
    if not shapes:
        return 1
    kind, weights = _kind(call["name"]), shapes[1] if len(shapes) > 2 else []
    factors = weights[1:] if kind == "convolution" else shapes[0][-1:] if kind == "linear" else []
    return math.prod(shapes[-1]) * math.prod(factors)


def _constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of the graph, by their SHA-256: equal ones are stored once."""
    for value in graph["values"]:
        tensor = value["value"]
        if value["value_type"] == "VkTensor" and tensor["constant_id"] >= 0:
            stored = graph["constants"][tensor["constant_id"]]
            dtype, _ = DTYPES[tensor["datatype"]]
            yield stored["named_key"], Constant(dtype, tuple(tensor["dims"]), stored["length"])


def _kind(name: str) -> str | None:
    """``et_vk.conv_with_clamp.default`` is a convolution, one of a dozen."""
    operator = name.split(".")[1]
    if operator.startswith("conv"):
        return "convolution"
    return "linear" if operator.startswith(("linear", "mm", "bmm", "addmm")) else None
