"""Vulkan's graph inside a ``.pte``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.pipeline.inspection import Constant
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.runtime.contents.pte import Part
from edgekit.runtime.contents.vulkan import DTYPES, node_names

#: What the backend adds: values in another layout on the GPU, and weights put into one.
_PLUMBING = ("aten.clone.default", "et_vk.prepack.default")


def read(part: Part) -> Delegate:
    """What is in Vulkan's part of a ``.pte``."""
    assert part.graph is not None
    operators = tuple(name for name in node_names(part.graph) if name not in _PLUMBING)
    return Delegate(
        operators, dict(_constants(part.graph)), {name: kind for name in operators if (kind := _kind(name))}
    )


def _constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of the graph, by their SHA-256: equal ones are stored once."""
    for value in graph["values"]:
        tensor = value["value"]
        if value["value_type"] == "VkTensor" and tensor["constant_id"] >= 0:
            stored = graph["constants"][tensor["constant_id"]]
            dtype, _ = DTYPES[tensor["datatype"]]
            yield stored["named_key"], Constant(dtype, len(tensor["dims"]), stored["length"])


def _kind(name: str) -> str | None:
    """``et_vk.conv_with_clamp.default`` is a convolution, one of a dozen."""
    operator = name.split(".")[1]
    if operator.startswith("conv"):
        return "convolution"
    return "linear" if operator.startswith(("linear", "mm", "bmm", "addmm")) else None
