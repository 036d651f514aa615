"""``.pte``: ExecuTorch's program, and what is inside its delegates."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.pipeline.readers import coreml, vulkan, xnnpack
from edgekit.pipeline.readers.facts import Call, Constant, Delegate, FileFacts, kinds
from edgekit.runtime.contents import pte
from edgekit.runtime.contents.pte import DTYPES, Part, PteProgram

_KINDS = kinds(prefix="aten::", convolution="convolution", linear="addmm linear mm bmm")
#: Id of a backend in the file -> the module with ``read(part) -> Delegate``.
_BACKENDS: dict[str, ModuleType] = {"XnnpackBackend": xnnpack, "VulkanBackend": vulkan, "CoreMLBackend": coreml}


def read(data: bytes) -> FileFacts:
    """The facts of a ``.pte`` file."""
    found = pte.read(data)
    delegates = [_read_delegate(part) for part in found.parts]
    constants = dict(_portable_constants(found))
    named = dict(_KINDS)
    for delegate in delegates:
        constants.update(delegate.constants)
        named.update(delegate.kinds)
    calls = [*_portable_calls(found), *(call for delegate in delegates for call in delegate.calls)]
    backends = tuple(dict.fromkeys(part.backend for part in found.parts))
    arena = _arena_bytes(found, delegates)
    return FileFacts.of(constants.values(), calls, named, arena, backends)


def _read_delegate(part: Part) -> Delegate:
    try:
        delegate: Delegate = _BACKENDS[part.backend].read(part)
    except (struct.error, StopIteration, UnicodeDecodeError) as error:
        raise ValueError(f"its part for {part.backend} is damaged ({error})") from error
    return delegate


def _arena_bytes(found: PteProgram, delegates: Sequence[Delegate]) -> int | None:
    """Memory that was planned at export, and what the delegates want besides, who share theirs."""
    wanted = [delegate.arena_bytes for delegate in delegates]
    known = [size for size in wanted if size is not None]
    if len(known) < len(wanted):
        return None
    plans = found.program["execution_plan"]
    planned = max((sum(plan["non_const_buffer_sizes"]) for plan in plans), default=0)
    return planned + max(known, default=0)


def _kernels(plan: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[int]]]:
    """The kernels outside of the delegates in order, by name, with the values they are given."""
    for chain in plan["chains"]:
        for call in chain["instructions"]:
            if call["instr_args_type"] == "KernelCall":
                told = call["instr_args"]
                yield plan["operators"][told["op_index"]]["name"], told["args"]


def _portable_calls(found: PteProgram) -> Iterator[Call]:
    for plan in found.program["execution_plan"]:
        for name, arguments in _kernels(plan):
            yield Call(name, _work(name, arguments, plan["values"]))


def _work(name: str, arguments: Sequence[int], values: Sequence[Mapping[str, Any]]) -> int:
    """Values that a kernel computes, of which the last argument tells; multiply-accumulates of a product."""
    last = values[arguments[-1]]
    numbers = last["val"]["items"] if last["val_type"] == "TensorList" else arguments[-1:]
    results = [shape for number in numbers if (shape := _shape(values[number])) is not None]
    computed = sum(math.prod(shape) for shape in results) or 1
    tensors = [shape for number in arguments if (shape := _shape(values[number])) is not None]
    match name:
        case "aten::convolution":
            transposed = values[arguments[6]]["val"].get("bool_val", False)
            return math.prod(tensors[0] if transposed else results[0]) * math.prod(tensors[1][1:])
        case "aten::addmm":
            return computed * tensors[1][-1]
        case "aten::linear" | "aten::mm" | "aten::bmm":
            return computed * tensors[0][-1]
    return computed


def _shape(value: Mapping[str, Any]) -> list[int] | None:
    return list(value["val"]["sizes"]) if value["val_type"] == "Tensor" else None


def _portable_constants(found: PteProgram) -> Iterator[tuple[str, Constant]]:
    """Constants of operators outside the delegates, by the buffer they share."""
    for plan in found.program["execution_plan"]:
        readers = {number: name for name, arguments in _kernels(plan) for number in arguments}
        for number, value in enumerate(plan["values"]):
            tensor: Any = value["val"]
            if value["val_type"] == "Tensor" and tensor["data_buffer_idx"] and not tensor["allocation_info"]:
                dtype, _ = DTYPES[tensor["scalar_type"]]
                shape = tuple(tensor["sizes"])
                size = math.prod(shape) * np.dtype(dtype).itemsize
                yield f"portable {tensor['data_buffer_idx']}", Constant(dtype, shape, size, readers.get(number, ""))
