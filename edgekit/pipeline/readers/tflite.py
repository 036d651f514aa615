"""``.tflite``: the flatbuffer's constants and operators, and what LiteRT hands to XNNPACK."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekit.pipeline.readers.facts import Call, Constant, FileFacts, kinds, peak_bytes
from edgekit.runtime.contents import tflite
from edgekit.runtime.contents.tflite import TYPES, TfliteModel

_KINDS = kinds(
    convolution="CONV_2D DEPTHWISE_CONV_2D TRANSPOSE_CONV CONV_3D",
    linear="FULLY_CONNECTED BATCH_MATMUL",
    recurrent="UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN",
)
#: How ``Interpreter._get_ops_details`` calls a delegate's node.
_DELEGATE = "DELEGATE"


def read(data: bytes) -> FileFacts:
    """The facts of a ``.tflite`` file; a `ValueError`, too, where LiteRT does not load it."""
    found = tflite.read(data)
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    nodes: list[dict[str, Any]] = interpreter._get_ops_details()
    graph, delegated = found.model["subgraphs"][0], _delegated(nodes)
    calls = (
        Call(name, _work(name, graph["operators"][node["index"]], graph, found), node["index"] in delegated)
        for node in nodes
        if (name := node["op_name"]) != _DELEGATE
    )
    return FileFacts.of(_constants(found), calls, _KINDS, _arena_bytes(found))


def _work(name: str, node: Mapping[str, Any], graph: Mapping[str, Any], found: TfliteModel) -> int:
    """Values that an operator computes; multiply-accumulates of a convolution or a product.

    A loop or a branch does what is in its subgraphs: once, as the file does not say how often.
    """
    shapes = [list(graph["tensors"][number]["shape"]) if number >= 0 else [] for number in node["inputs"]]
    values = sum(math.prod(graph["tensors"][number]["shape"]) for number in node["outputs"]) or 1
    match name:
        case "CONV_2D" | "CONV_3D" | "FULLY_CONNECTED":
            return values * math.prod(shapes[1][1:])
        case "DEPTHWISE_CONV_2D":
            return values * math.prod(shapes[1][1:3])
        case "TRANSPOSE_CONV":
            return math.prod(shapes[2]) * math.prod(shapes[1][:3])
        case "BATCH_MATMUL":
            return values * shapes[0][-2 if node["builtin_options"]["adj_x"] else -1]
        case "UNIDIRECTIONAL_SEQUENCE_LSTM" | "UNIDIRECTIONAL_SEQUENCE_RNN":
            return sum(math.prod(shape) for shape in shapes[1:] if len(shape) == 2) * math.prod(shapes[0][:2])
    return values + sum(_work_in(graph, found) for graph in _called(node, found))


def _called(node: Mapping[str, Any], found: TfliteModel) -> Iterator[Mapping[str, Any]]:
    """The subgraphs that a loop or a branch runs."""
    for field, number in (node["builtin_options"] or {}).items():
        if field.endswith("_subgraph_index"):
            yield found.model["subgraphs"][number]


def _work_in(graph: Mapping[str, Any], found: TfliteModel) -> int:
    return sum(_work(found.names[node["opcode_index"]], node, graph, found) for node in graph["operators"])


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
    for graph in found.model["subgraphs"]:
        readers = {number: node for node in graph["operators"] for number in node["inputs"]}
        for number, tensor in enumerate(graph["tensors"]):
            size = len(found.stored(tensor))
            if size and tensor["buffer"] not in seen:
                seen.add(tensor["buffer"])
                reader = found.names[readers[number]["opcode_index"]] if number in readers else ""
                yield Constant(TYPES[tensor["type"]][0], tuple(tensor["shape"]), size, reader)


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
