"""XNNPACK's graph inside a ``.pte``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgekit.pipeline.readers.facts import Call, Constant, Delegate, kinds, peak_bytes
from edgekit.runtime.contents.pte import Part
from edgekit.runtime.contents.xnnpack import DTYPES, tensor_of

_KINDS = kinds(
    prefix="XNN",
    convolution="Conv2d DepthwiseConv2d ConvTranspose2d",
    linear="FullyConnected BatchMatrixMultiply",
)
#: XNNPACK's nodes that move or requantize values: work that the delegate adds, no operators of the model.
_PLUMBING = ("XNNConvert", "XNNStaticTranspose", "XNNStaticReshape")
#: Types that numpy lacks count as bytes.
_BYTE = ("int4", "bfloat16")


def read(part: Part) -> Delegate:
    """What is in XNNPACK's part of a ``.pte``."""
    assert part.graph is not None
    tensors = {tensor["id_out"]: tensor for tensor in map(tensor_of, part.graph["xvalues"])}
    nodes = [(node["xnode_union_type"], node["xnode_union"]) for node in part.graph["xnodes"]]
    calls = (Call(name, _work(name, node, tensors), delegated=True) for name, node in nodes if name not in _PLUMBING)
    constants = dict(_constants(part.graph, nodes, tensors))
    return Delegate(tuple(calls), constants, _KINDS, _peak_bytes(nodes, tensors))


def _work(name: str, node: Mapping[str, Any], tensors: Mapping[int, Mapping[str, Any]]) -> int:
    """Values that a node computes; multiply-accumulates of a convolution or a product."""
    values = sum(math.prod(tensors[number]["dims"]) for field, number in node.items() if field.startswith("output_"))
    if name == "XNNConvTranspose2d":
        values, channels = math.prod(tensors[node["input1_id"]]["dims"]), node["group_output_channels"]
        return values * channels * node["kernel_height"] * node["kernel_width"]
    if "kernel_height" in node:
        channels = 1 if name == "XNNDepthwiseConv2d" else node["group_input_channels"]
        return values * channels * node["kernel_height"] * node["kernel_width"]
    if _KINDS.get(name) == "linear":
        return values * int(tensors[node["input1_id"]]["dims"][-1])
    return values


def _constants(
    graph: Mapping[str, Any], nodes: list[tuple[str, Any]], tensors: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[str, Constant]]:
    """Constants of one graph, by name: equal ones are stored once."""
    readers = {number: name for name, node in nodes for field, number in node.items() if field.endswith("_id")}
    for number, tensor in tensors.items():
        if tensor["constant_buffer_idx"]:
            stored = graph["constant_data"][tensor["constant_buffer_idx"]]
            shape, reader = tuple(tensor["dims"]), readers.get(number, "")
            yield stored["named_key"], Constant(_dtype(tensor), shape, stored["size"], reader)


def _peak_bytes(nodes: list[tuple[str, Any]], tensors: Mapping[int, Mapping[str, Any]]) -> int:
    """The most that values inside one graph take at one time."""
    sizes = {
        number: math.prod(tensor["dims"]) * np.dtype(_dtype(tensor)).itemsize
        for number, tensor in tensors.items()
        if not tensor["constant_buffer_idx"]
    }
    numbers = [[number for field, number in node.items() if field.endswith("_id")] for _, node in nodes]
    return peak_bytes(numbers, sizes)


def _dtype(tensor: Mapping[str, Any]) -> str:
    name: str = DTYPES[tensor["datatype"]][0]
    return "int8" if name in _BYTE else name
