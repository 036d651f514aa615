"""``.tflite``: the flatbuffer's constants and operators, and what LiteRT hands to XNNPACK."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekit.pipeline.inspection import Constant, FileFacts, peak_bytes
from edgekit.runtime.contents import tflite
from edgekit.runtime.contents.tflite import TYPES, TfliteModel

_KINDS = {
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "convolution",
    "TRANSPOSE_CONV": "convolution",
    "CONV_3D": "convolution",
    "FULLY_CONNECTED": "linear",
    "BATCH_MATMUL": "linear",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "recurrent",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "recurrent",
}
#: How ``Interpreter._get_ops_details`` calls a delegate's node.
_DELEGATE = "DELEGATE"


def read(data: bytes) -> FileFacts:
    """The facts of a ``.tflite`` file.

    Raises:
        ValueError: It is none, holds what `edgekit.runtime.contents` refuses, or LiteRT does not load it.
    """
    found = tflite.read(data)
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    nodes: list[dict[str, Any]] = interpreter._get_ops_details()
    delegated = _delegated(nodes)
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for node in nodes:
        if node["op_name"] != _DELEGATE:
            (inside if node["index"] in delegated else outside)[node["op_name"]] += 1
    return FileFacts.of(_constants(found), inside, outside, _KINDS, _arena_bytes(found))


def _arena_bytes(found: TfliteModel) -> int:
    peaks = []
    for graph in found.model["subgraphs"]:
        sizes = {
            index: math.prod(tensor["shape"]) * _width(TYPES[tensor["type"]][0])
            for index, tensor in enumerate(graph["tensors"])
            if not len(found.stored(tensor))
        }
        peaks.append(peak_bytes([[*node["inputs"], *node["outputs"]] for node in graph["operators"]], sizes))
    return max(peaks, default=0)


def _width(name: str) -> int:
    """Bytes of one value; those of the widest type where numpy has no such type (four bits, texts)."""
    try:
        return np.dtype(name).itemsize or 8
    except TypeError:
        return 8


def _constants(found: TfliteModel) -> Iterator[Constant]:
    """Every buffer with contents, once, under the type of the first tensor that reads it."""
    seen: set[int] = set()
    for tensor in (tensor for graph in found.model["subgraphs"] for tensor in graph["tensors"]):
        size = len(found.stored(tensor))
        if size and tensor["buffer"] not in seen:
            seen.add(tensor["buffer"])
            yield Constant(TYPES[tensor["type"]][0], len(tensor["shape"]), size)


def _delegated(nodes: list[dict[str, Any]]) -> set[int]:
    """The nodes that some delegate's node stands for: those between its inputs and its outputs."""
    producers = {
        int(tensor): node for node in nodes if node["op_name"] != _DELEGATE for tensor in node["outputs"] if tensor >= 0
    }
    found: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == _DELEGATE):
        border = {int(tensor) for tensor in delegate["inputs"]}
        pending = [int(tensor) for tensor in delegate["outputs"]]
        while pending:
            tensor = pending.pop()
            node = producers.get(tensor)
            if tensor in border or node is None or node["index"] in found:
                continue
            found.add(node["index"])
            pending += [int(source) for source in node["inputs"] if source >= 0]
    return found
