"""``.pte``: ExecuTorch's program, and what is inside its delegates."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts
from edgekit.pipeline.readers import coreml, vulkan, xnnpack
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.runtime.contents import pte
from edgekit.runtime.contents.pte import DTYPES, Part, PteProgram

_KINDS = {
    "aten::convolution": "convolution",
    "aten::addmm": "linear",
    "aten::linear": "linear",
    "aten::mm": "linear",
    "aten::bmm": "linear",
}
#: Id of a backend in the file -> the module with ``read(part) -> Delegate``.
_BACKENDS: dict[str, ModuleType] = {
    "XnnpackBackend": xnnpack,
    "VulkanBackend": vulkan,
    "CoreMLBackend": coreml,
}


def read(data: bytes) -> FileFacts:
    """The facts of a ``.pte`` file.

    Raises:
        ValueError: It is none, or holds what `edgekit.runtime.contents` refuses.
    """
    found = pte.read(data)
    delegates = [_read_delegate(part) for part in found.parts]
    constants = dict(_portable_constants(found))
    kinds = dict(_KINDS)
    for delegate in delegates:
        constants.update(delegate.constants)
        kinds.update(delegate.kinds)
    inside = Counter(name for delegate in delegates for name in delegate.operators)
    backends = tuple(dict.fromkeys(part.backend for part in found.parts))
    arena = _arena_bytes(found, delegates)
    return FileFacts.of(constants.values(), inside, Counter(found.calls), kinds, arena, backends)


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


def _portable_constants(found: PteProgram) -> Iterator[tuple[str, Constant]]:
    """Constants of operators outside the delegates, by the buffer they share."""
    for value in (value for plan in found.program["execution_plan"] for value in plan["values"]):
        tensor: Any = value["val"]
        if value["val_type"] == "Tensor" and tensor["data_buffer_idx"] and not tensor["allocation_info"]:
            dtype, _ = DTYPES[tensor["scalar_type"]]
            size = math.prod(tensor["sizes"]) * np.dtype(dtype).itemsize
            yield f"portable {tensor['data_buffer_idx']}", Constant(dtype, len(tensor["sizes"]), size)
