"""``.pte``: ExecuTorch's program, and the XNNPACK graphs inside it.

Read with the ``flatc`` and the schemas of the executorch package, without importing it (that would import torch).
"""

from __future__ import annotations

import json
import math
import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts, peak_bytes

_KINDS = {
    "XNNConv2d": "convolution",
    "XNNDepthwiseConv2d": "convolution",
    "XNNConvTranspose2d": "convolution",
    "aten::convolution": "convolution",
    "XNNFullyConnected": "linear",
    "XNNBatchMatrixMultiply": "linear",
    "aten::addmm": "linear",
    "aten::linear": "linear",
    "aten::mm": "linear",
    "aten::bmm": "linear",
}
_BACKEND = "XnnpackBackend"
_PROGRAM_SCHEMA = "exir/_serialize/program.fbs"
_GRAPH_SCHEMA = "backends/xnnpack/serialization/schema.fbs"
#: XNNPACK's nodes that move or requantize values: work that the delegate adds, no operators of the model.
_PLUMBING = ("XNNConvert", "XNNStaticTranspose", "XNNStaticReshape")
_XNNPACK_DTYPES = {
    "xnn_datatype_fp32": "float32",
    "xnn_datatype_fp16": "float16",
    "xnn_datatype_qint8": "int8",
    "xnn_datatype_quint8": "uint8",
    "xnn_datatype_qint32": "int32",
    "xnn_datatype_qcint8": "int8",
    "xnn_datatype_qcint32": "int32",
    "xnn_datatype_int32": "int32",
}
_SCALAR_DTYPES = {
    "BYTE": "uint8",
    "CHAR": "int8",
    "SHORT": "int16",
    "INT": "int32",
    "LONG": "int64",
    "HALF": "float16",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "BOOL": "bool",
}


def read(data: bytes) -> FileFacts:
    """The facts of a ``.pte`` file.

    Raises:
        ValueError: It is none, or made for another version of the format.
    """
    program = _program(data)
    graphs = _graphs(data, program)
    outside: Counter[str] = Counter()
    constants: dict[str, Constant] = {}
    for plan in program["execution_plan"]:
        constants.update(_portable_constants(plan))
        names = [operator["name"] for operator in plan["operators"]]
        for instruction in (instruction for chain in plan["chains"] for instruction in chain["instructions"]):
            if instruction["instr_args_type"] == "KernelCall":
                outside[names[instruction["instr_args"]["op_index"]]] += 1
    for graph in graphs:
        constants.update(_xnnpack_constants(graph))
    inside = Counter(name for graph in graphs for name in node_names(graph) if name not in _PLUMBING)
    # Memory that was planned at export, and what the delegates want besides, who share theirs.
    planned = max((sum(plan["non_const_buffer_sizes"]) for plan in program["execution_plan"]), default=0)
    arena_bytes = planned + max((_peak_bytes(graph) for graph in graphs), default=0)
    return FileFacts.of(constants.values(), inside, outside, _KINDS, arena_bytes)


def xnnpack_graphs(data: bytes) -> list[dict[str, Any]]:
    """The XNNPACK graphs inside a ``.pte`` file, as JSON of executorch's ``schema.fbs``.

    Raises:
        ValueError: It is no ``.pte`` file, or made for another version of the format.
    """
    return _graphs(data, _program(data))


def node_names(graph: Mapping[str, Any]) -> list[str]:
    """The names of the nodes of an XNNPACK graph in order, ``XNNConv2d`` and the like, plumbing included."""
    return [node["xnode_union_type"] for node in graph["xnodes"]]


def _program(data: bytes) -> dict[str, Any]:
    if data[4:6] != b"ET":
        raise ValueError("no ET identifier")
    return _parse(data[: _layout(data)[0]], _PROGRAM_SCHEMA)


def _layout(data: bytes) -> tuple[int, int]:
    """Bytes of the flatbuffer, and where the segments behind it begin: from ExecuTorch's extended header."""
    if data[8:12] != b"eh00":
        return len(data), 0
    size, base = struct.unpack_from("<QQ", data, 16)
    return size, base


def _graphs(data: bytes, program: Mapping[str, Any]) -> list[dict[str, Any]]:
    graphs = []
    for delegate in (delegate for plan in program["execution_plan"] for delegate in plan["delegates"]):
        if delegate["id"] != _BACKEND:
            raise ValueError(f"it delegates to {delegate['id']}, not to XNNPACK")
        place = delegate["processed"]
        if place["location"] == "SEGMENT":
            segment = program["segments"][place["index"]]
            begin = _layout(data)[1] + segment["offset"]
            payload = data[begin : begin + segment["size"]]
        else:
            payload = bytes(program["backend_delegate_data"][place["index"]]["data"])
        offset, size = struct.unpack_from("<II", payload, 10)  # behind 4 zeros, "XH00" and the header's length
        graphs.append(_parse(payload[offset : offset + size], _GRAPH_SCHEMA))
    return graphs


def _portable_constants(plan: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of operators outside the delegates, by the buffer they share."""
    for value in plan["values"]:
        tensor = value["val"]
        if value["val_type"] == "Tensor" and tensor["data_buffer_idx"] and not tensor.get("allocation_info"):
            dtype = _SCALAR_DTYPES[tensor["scalar_type"]]
            size = math.prod(tensor["sizes"]) * np.dtype(dtype).itemsize
            yield f"portable {tensor['data_buffer_idx']}", Constant(dtype, len(tensor["sizes"]), size)


def _xnnpack_constants(graph: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of one XNNPACK graph, by name: equal ones are stored once."""
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"]
        tensor = tensor.get("tensor_value", tensor)
        if tensor["constant_buffer_idx"]:
            stored = graph["constant_data"][tensor["constant_buffer_idx"]]
            yield stored["named_key"], Constant(_XNNPACK_DTYPES[tensor["datatype"]], tensor["num_dims"], stored["size"])


def _peak_bytes(graph: Mapping[str, Any]) -> int:
    """The most that values inside one XNNPACK graph take at one time."""
    sizes = {}
    for value in graph["xvalues"]:
        tensor = value["xvalue_union"]
        tensor = tensor.get("tensor_value", tensor)
        if not tensor["constant_buffer_idx"]:
            dtype = _XNNPACK_DTYPES.get(tensor["datatype"], "int8")  # the others are kinds of int8
            sizes[tensor["id_out"]] = math.prod(tensor["dims"]) * np.dtype(dtype).itemsize
    nodes = [
        [number for name, number in node["xnode_union"].items() if name.endswith("_id")] for node in graph["xnodes"]
    ]
    return peak_bytes(nodes, sizes)


def _parse(flatbuffer: bytes, schema: str) -> dict[str, Any]:
    """*flatbuffer* as JSON, by the schema file of that path in the executorch package."""
    package = find_spec("executorch")
    if package is None or not package.submodule_search_locations:
        raise ValueError("the executorch package is not installed")
    home = Path(next(iter(package.submodule_search_locations)))
    with tempfile.TemporaryDirectory() as directory:
        binary = Path(directory, "parsed.bin")
        binary.write_bytes(flatbuffer)
        command = [str(home / "data/bin/flatc"), "--json", "--strict-json", "--defaults-json", "--raw-binary"]
        run = subprocess.run(
            [*command, "-o", directory, str(home / schema), "--", str(binary)], capture_output=True, text=True
        )
        if run.returncode:
            raise ValueError(" ".join((run.stdout + run.stderr).split())[:200])
        text = binary.with_suffix(".json").read_text()
    # flatc writes infinity, the upper bound of a plain ReLU, in C's spelling.
    parsed: dict[str, Any] = json.loads(re.sub(r"(: -?)inf\b", r"\1Infinity", text))
    return parsed
