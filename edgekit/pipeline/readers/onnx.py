"""``.onnx``: the graph's initializers and operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.pipeline.readers.facts import Constant, FileFacts, kinds
from edgekit.runtime.contents import onnx
from edgekit.runtime.contents.onnx import DTYPES

_KINDS = kinds(convolution="Conv ConvTranspose", linear="Gemm MatMul", recurrent="LSTM GRU RNN")
#: Constants are tensors like the initializers, only written down as operators.
_CONSTANT = "Constant"


def read(data: bytes) -> FileFacts:
    """The facts of an ``.onnx`` file. What ONNX Runtime has on the CPU is no delegate."""
    found = onnx.read(data)
    names = [name for name in found.operators if name != _CONSTANT]
    tensors = [tensor for graph in found.graphs for tensor in graph.get("initializer", ())]
    constants = [node for node in found.nodes if node["op_type"] == _CONSTANT]
    tensors += [attribute["t"] for node in constants for attribute in node["attribute"] if "t" in attribute]
    return FileFacts.undelegated(map(_constant, tensors), names, _KINDS)


def _constant(tensor: Mapping[str, Any]) -> Constant:
    dtype, bits, _ = DTYPES[tensor["data_type"]]
    shape = tuple(tensor.get("dims", ()))
    return Constant(dtype, shape, int(np.prod(shape)) * bits // 8)
