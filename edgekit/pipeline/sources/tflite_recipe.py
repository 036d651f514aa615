"""Which recipe a ``.tflite`` is in already, by the types of its weights."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from edgekit.runtime.contents import tflite
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.contents.tflite import TYPES, TfliteModel

_WHOLE = ("int8", "uint8", "int16", "int4", "uint4", "int2")
#: What has weights as its second input.
_WEIGHTED = frozenset({
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D", "BATCH_MATMUL", "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF", "EMBEDDING_LOOKUP",
})  # fmt: skip


def recipe_of(path: Path) -> str:
    """The name of the recipe that most weights of the file at *path* are in; ``fp32`` for one that cannot be read."""
    try:
        return recipe_in(path.read_bytes())
    except Malformed:  # it is trusted, or refused elsewhere
        return "fp32"


def recipe_in(data: bytes) -> str:
    """The same of a file's bytes; raises `Malformed`."""
    found = tflite.read(data)
    stored, computed = _weights(found)
    whole = sum(stored[name] for name in _WHOLE)
    if whole and whole >= max(stored["float32"], stored["float16"]):
        return "int8" if any(computed[name] for name in _WHOLE) else "int8-dynamic"
    return "fp16" if stored["float16"] > stored["float32"] else "fp32"


def _weights(found: TfliteModel) -> tuple[Counter[str], Counter[str]]:
    """Values of constants with more than one axis by their type; and what layers compute in, by the layer."""
    stored, computed = Counter[str](), Counter[str]()
    for graph in found.model["subgraphs"]:
        tensors = graph["tensors"]
        for tensor in tensors:
            if len(tensor["shape"]) > 1 and len(found.stored(tensor)):
                stored[TYPES[tensor["type"]][0]] += math.prod(tensor["shape"])
        for node in graph["operators"]:
            if found.names[node["opcode_index"]] in _WEIGHTED:
                computed[TYPES[tensors[node["outputs"][0]]["type"]][0]] += 1
    return stored, computed
