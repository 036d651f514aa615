"""``.pte``: its methods, whose tensors have no names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.backends import BACKENDS
from edgekit.runtime.contents.flatbuffer import Table
from edgekit.runtime.contents.pte import DTYPES, PteProgram, main_name, read
from edgekit.runtime.contents.xnnpack import DTYPES as XNNPACK_DTYPES
from edgekit.runtime.contents.xnnpack import tensor_of
from edgekit.runtime.given.interface import FileTensor, Interface, Method, interface
from edgekit.runtime.given.precision import Stored, recipe_of

#: Numbers that were fixed at export: numpy's name, and where the value stands. ExecuTorch refuses any other.
_NUMBERS = {"Int": ("int64", "int_val"), "Double": ("float64", "double_val"), "Bool": ("bool", "bool_val")}
#: Of a tensor that has one shape; others have the largest of theirs in the file.
_STATIC_SHAPE = 0
#: Types of XNNPACK's that are quantized with a scale that is known beforehand: signed and unsigned bytes.
_STATIC = (3, 4)


def describe(data: bytes | memoryview) -> Interface:
    """The interface of a ``.pte`` file. Raises as `edgekit.runtime.contents.check`."""
    found = read(data)
    plans = {plan["name"]: _method(plan) for plan in found.program["execution_plan"]}
    main = main_name(plans)
    further = plans if len(plans) > 1 else {}
    constants = [*_stored(found), *_delegated(found)]
    return interface(
        plans[main],
        further,
        recipe=recipe_of(constants, _is_static(found)),
        is_stateful=_stateful(found),
        backend=_backend(found),
    )


def _method(plan: Table) -> Method:
    return Method(*(tuple(_tensors(plan, side)) for side in ("inputs", "outputs")))


def _tensors(plan: Table, side: str) -> Iterator[FileTensor]:
    for number, index in enumerate(plan[side]):
        value, name = plan["values"][index], f"{side.removesuffix('s')}_{number}"
        if value["val_type"] != "Tensor":
            dtype, key = _NUMBERS.get(value["val_type"], (f"of the kind {value['val_type']}", ""))
            yield FileTensor(name, (), dtype, only=value["val"].get(key))
            continue
        tensor = value["val"]
        is_largest = tensor["shape_dynamism"] != _STATIC_SHAPE
        yield FileTensor(name, tuple(tensor["sizes"]), DTYPES[tensor["scalar_type"]][0], is_largest=is_largest)


def _portable(found: PteProgram) -> Iterator[Any]:
    for plan in found.program["execution_plan"]:
        yield from (value["val"] for value in plan["values"] if value["val_type"] == "Tensor")


def _stored(found: PteProgram) -> Iterator[Stored]:
    for tensor in _portable(found):
        if tensor["data_buffer_idx"] and not tensor["allocation_info"]:
            dtype, size = DTYPES[tensor["scalar_type"]]
            count = 1
            for axis in tensor["sizes"]:
                count *= axis
            yield Stored(dtype, count * size)


def _xnnpack(found: PteProgram) -> Iterator[tuple[Table, Table | None]]:
    """Tensors of XNNPACK's parts, each with what is stored of it."""
    for part in found.parts:
        if part.backend == "XnnpackBackend" and part.graph is not None:
            for tensor in map(tensor_of, part.graph["xvalues"]):
                index = tensor["constant_buffer_idx"]
                yield tensor, part.graph["constant_data"][index] if index else None


def _delegated(found: PteProgram) -> Iterator[Stored]:
    for tensor, stored in _xnnpack(found):
        if stored is not None:
            yield Stored(XNNPACK_DTYPES[tensor["datatype"]][0], stored["size"])


def _is_static(found: PteProgram) -> bool:
    return any(tensor["datatype"] in _STATIC for tensor, stored in _xnnpack(found) if stored is None)


def _backend(found: PteProgram) -> str:
    """What its first part is for; XNNPACK, which every runtime has, where there is none."""
    names = {backend.delegate: backend.name for backend in BACKENDS if backend.delegate}
    return next((names[part.backend] for part in found.parts if part.backend in names), "xnnpack")


def _stateful(found: PteProgram) -> bool:
    """Whether a tensor has memory of its own and a first value: a buffer that the program changes."""
    return any(tensor["data_buffer_idx"] and tensor["allocation_info"] for tensor in _portable(found))
