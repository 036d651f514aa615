"""XNNPACK's graph inside a ``.pte``: a flatbuffer, its weights stored beside it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, peak_bytes
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.pipeline.readers.flatbuffer import parse

_KINDS = {
    "XNNConv2d": "convolution",
    "XNNDepthwiseConv2d": "convolution",
    "XNNConvTranspose2d": "convolution",
    "XNNFullyConnected": "linear",
    "XNNBatchMatrixMultiply": "linear",
}
_SCHEMA = "backends/xnnpack/serialization/schema.fbs"
#: XNNPACK's nodes that move or requantize values: work that the delegate adds, no operators of the model.
_PLUMBING = ("XNNConvert", "XNNStaticTranspose", "XNNStaticReshape")
_DTYPES = {
    "xnn_datatype_fp32": "float32",
    "xnn_datatype_fp16": "float16",
    "xnn_datatype_qint8": "int8",
    "xnn_datatype_quint8": "uint8",
    "xnn_datatype_qint32": "int32",
    "xnn_datatype_qcint8": "int8",
    "xnn_datatype_qcint32": "int32",
    "xnn_datatype_int32": "int32",
}


def read(payload: bytes) -> Delegate:
    """What is in XNNPACK's part of a ``.pte``.

    Raises:
        ValueError: It is none.
    """
    graph = read_graph(payload)
    operators = tuple(name for name in node_names(graph) if name not in _PLUMBING)
    return Delegate(operators, dict(_constants(graph)), _KINDS, _peak_bytes(graph))


def read_graph(payload: bytes) -> dict[str, Any]:
    """The graph in XNNPACK's part of a ``.pte``, as JSON of executorch's ``schema.fbs``."""
    offset, size = struct.unpack_from("<II", payload, 10)  # behind 4 zeros, "XH00" and the header's length
    return parse(payload[offset : offset + size], _SCHEMA)


def node_names(graph: Mapping[str, Any]) -> list[str]:
    """The names of the nodes of an XNNPACK graph in order, ``XNNConv2d`` and the like, plumbing included."""
    return [node["xnode_union_type"] for node in graph["xnodes"]]


def _constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of one graph, by name: equal ones are stored once."""
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"]
        tensor = tensor.get("tensor_value", tensor)
        if tensor["constant_buffer_idx"]:
            stored = graph["constant_data"][tensor["constant_buffer_idx"]]
            yield stored["named_key"], Constant(_DTYPES[tensor["datatype"]], tensor["num_dims"], stored["size"])


def _peak_bytes(graph: Mapping[str, Any]) -> int:
    """The most that values inside one graph take at one time."""
    sizes = {}
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"]
        tensor = tensor.get("tensor_value", tensor)
        if not tensor["constant_buffer_idx"]:
            dtype = _DTYPES.get(tensor["datatype"], "int8")  # the others are kinds of int8
            sizes[tensor["id_out"]] = math.prod(tensor["dims"]) * np.dtype(dtype).itemsize
    nodes = [
        [number for name, number in node["xnode_union"].items() if name.endswith("_id")] for node in graph["xnodes"]
    ]
    return peak_bytes(nodes, sizes)
