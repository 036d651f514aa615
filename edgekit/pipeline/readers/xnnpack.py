"""XNNPACK's graph inside a ``.pte``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, peak_bytes
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.runtime.contents.pte import Part
from edgekit.runtime.contents.xnnpack import DTYPES, node_names, tensor_of

_KINDS = {
    "XNNConv2d": "convolution",
    "XNNDepthwiseConv2d": "convolution",
    "XNNConvTranspose2d": "convolution",
    "XNNFullyConnected": "linear",
    "XNNBatchMatrixMultiply": "linear",
}
#: XNNPACK's nodes that move or requantize values: work that the delegate adds, no operators of the model.
_PLUMBING = ("XNNConvert", "XNNStaticTranspose", "XNNStaticReshape")
#: Types that numpy lacks count as bytes.
_BYTE = ("int4", "bfloat16")


def read(part: Part) -> Delegate:
    """What is in XNNPACK's part of a ``.pte``."""
    assert part.graph is not None
    operators = tuple(name for name in node_names(part.graph) if name not in _PLUMBING)
    return Delegate(operators, dict(_constants(part.graph)), _KINDS, _peak_bytes(part.graph))


def _constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of one graph, by name: equal ones are stored once."""
    for tensor in map(tensor_of, graph["xvalues"]):
        if tensor["constant_buffer_idx"]:
            stored = graph["constant_data"][tensor["constant_buffer_idx"]]
            yield stored["named_key"], Constant(_dtype(tensor), tensor["num_dims"], stored["size"])


def _peak_bytes(graph: Mapping[str, Any]) -> int:
    """The most that values inside one graph take at one time."""
    sizes = {
        tensor["id_out"]: math.prod(tensor["dims"]) * np.dtype(_dtype(tensor)).itemsize
        for tensor in map(tensor_of, graph["xvalues"])
        if not tensor["constant_buffer_idx"]
    }
    nodes = [
        [number for name, number in node["xnode_union"].items() if name.endswith("_id")] for node in graph["xnodes"]
    ]
    return peak_bytes(nodes, sizes)


def _dtype(tensor: Mapping[str, Any]) -> str:
    name: str = DTYPES[tensor["datatype"]][0]
    return "int8" if name in _BYTE else name
