"""``.pte``: ExecuTorch's program, and what is inside its delegates."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts
from edgekit.pipeline.readers import coreml, vulkan, xnnpack
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.pipeline.readers.flatbuffer import parse

_KINDS = {
    "aten::convolution": "convolution",
    "aten::addmm": "linear",
    "aten::linear": "linear",
    "aten::mm": "linear",
    "aten::bmm": "linear",
}
#: Id of a backend in the file -> the module with ``read(payload) -> Delegate``.
_BACKENDS: dict[str, ModuleType] = {
    "XnnpackBackend": xnnpack,
    "VulkanBackend": vulkan,
    "CoreMLBackend": coreml,
}
_SCHEMA = "exir/_serialize/program.fbs"
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
        ValueError: It is none, or made for another version of the format, or for a backend that is unknown here.
    """
    program = _program(data)
    parts = list(_payloads(data, program))
    delegates = [_read_delegate(backend, payload) for backend, payload in parts]
    outside: Counter[str] = Counter()
    constants: dict[str, Constant] = {}
    kinds = dict(_KINDS)
    for plan in program["execution_plan"]:
        constants.update(_portable_constants(plan))
        names = [operator["name"] for operator in plan["operators"]]
        for instruction in (instruction for chain in plan["chains"] for instruction in chain["instructions"]):
            if instruction["instr_args_type"] == "KernelCall":
                outside[names[instruction["instr_args"]["op_index"]]] += 1
    for delegate in delegates:
        constants.update(delegate.constants)
        kinds.update(delegate.kinds)
    inside = Counter(name for delegate in delegates for name in delegate.operators)
    backends = tuple(dict.fromkeys(backend for backend, _ in parts))
    return FileFacts.of(constants.values(), inside, outside, kinds, _arena_bytes(program, delegates), backends)


def delegate_payloads(data: bytes) -> list[tuple[str, bytes]]:
    """Backend's id and contents of each delegate in a ``.pte`` file.

    Raises:
        ValueError: It is no ``.pte`` file, or made for another version of the format.
    """
    return list(_payloads(data, _program(data)))


def _program(data: bytes) -> dict[str, Any]:
    if data[4:6] != b"ET":
        raise ValueError("no ET identifier")
    return parse(data[: _layout(data)[0]], _SCHEMA)


def _layout(data: bytes) -> tuple[int, int]:
    """Bytes of the flatbuffer, and where the segments behind it begin: from ExecuTorch's extended header."""
    if data[8:12] != b"eh00":
        return len(data), 0
    size, base = struct.unpack_from("<QQ", data, 16)
    return size, base


def _payloads(data: bytes, program: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for delegate in (delegate for plan in program["execution_plan"] for delegate in plan["delegates"]):
        place = delegate["processed"]
        if place["location"] == "SEGMENT":
            segment = program["segments"][place["index"]]
            begin = _layout(data)[1] + segment["offset"]
            yield delegate["id"], data[begin : begin + segment["size"]]
        else:
            yield delegate["id"], bytes(program["backend_delegate_data"][place["index"]]["data"])


def _read_delegate(backend: str, payload: bytes) -> Delegate:
    if backend not in _BACKENDS:
        raise ValueError(f"it delegates to {backend}, which is unknown here")
    try:
        delegate: Delegate = _BACKENDS[backend].read(payload)
    except (struct.error, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"its part for {backend} is damaged ({error})") from error
    return delegate


def _arena_bytes(program: Mapping[str, Any], delegates: list[Delegate]) -> int | None:
    """Memory that was planned at export, and what the delegates want besides, who share theirs."""
    wanted = [delegate.arena_bytes for delegate in delegates]
    known = [size for size in wanted if size is not None]
    if len(known) < len(wanted):
        return None
    planned = max((sum(plan["non_const_buffer_sizes"]) for plan in program["execution_plan"]), default=0)
    return planned + max(known, default=0)


def _portable_constants(plan: Mapping[str, Any]) -> Iterator[tuple[str, Constant]]:
    """Constants of operators outside the delegates, by the buffer they share."""
    for value in plan["values"]:
        tensor = value["val"]
        if value["val_type"] == "Tensor" and tensor["data_buffer_idx"] and not tensor.get("allocation_info"):
            dtype = _SCALAR_DTYPES[tensor["scalar_type"]]
            size = math.prod(tensor["sizes"]) * np.dtype(dtype).itemsize
            yield f"portable {tensor['data_buffer_idx']}", Constant(dtype, len(tensor["sizes"]), size)
