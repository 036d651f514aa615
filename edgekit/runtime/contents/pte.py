"""``.pte``: ExecuTorch's program, its kernels by allow-list with the values that they take, and its delegates.

ExecuTorch 1.5.1 verifies the flatbuffer and believes what it says: a kernel takes its arguments from a list without
asking how long that is, a value of another kind ends the process, and delegates see their part of the file unchecked.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from edgekit.runtime.contents import vulkan, xnnpack
from edgekit.runtime.contents.allowed import PTE, PTE_BACKENDS
from edgekit.runtime.contents.flatbuffer import Schema, Table, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_MEMORY_BYTES, MAX_VALUES

SCHEMA = Schema.of("pte")

#: ``ScalarType`` in ``scalar_type.fbs``: numpy's name and bytes of one value.
DTYPES = {
    0: ("uint8", 1), 1: ("int8", 1), 2: ("int16", 2), 3: ("int32", 4), 4: ("int64", 8), 5: ("float16", 2),
    6: ("float32", 4), 7: ("float64", 8), 11: ("bool", 1), 15: ("bfloat16", 2), 27: ("uint16", 2), 28: ("uint32", 4),
    29: ("uint64", 8),
}  # fmt: skip
#: What each letter in `PTE` stands for; a small one may be none as well.
_KINDS = {
    "T": ("Tensor",), "L": ("TensorList",), "l": ("OptionalTensorList",), "I": ("Int",), "D": ("Double",),
    "B": ("Bool",), "S": ("Int", "Double", "Bool"), "A": ("IntList",), "F": ("DoubleList",), "V": ("BoolList",),
    "Z": ("String",),
}  # fmt: skip
_INLINE, _SEGMENT = 0, 1
MAIN = "forward"


@dataclass(frozen=True)
class Part:
    """What a delegate of a program takes: the backend's id, its bytes, and the graph in them where it is read here."""

    backend: str
    payload: memoryview
    graph: Table | None


@dataclass(frozen=True)
class PteProgram:
    """One ``.pte`` file.

    Attributes:
        program: The table ``Program`` of ExecuTorch's ``program.fbs``.
        data: The file.
        parts: One for each delegate of each plan, in order.
    """

    program: Table
    data: bytes | memoryview
    parts: tuple[Part, ...]

    @property
    def calls(self) -> Iterator[str]:
        """The kernels outside of the delegates, in order: ``aten::add`` and the like."""
        for plan in self.program["execution_plan"]:
            for chain in plan["chains"]:
                for call in chain["instructions"]:
                    if call["instr_args_type"] == "KernelCall":
                        yield plan["operators"][call["instr_args"]["op_index"]]["name"]

    @property
    def operators(self) -> tuple[str, ...]:
        """The kernels outside of the delegates, and the nodes inside."""
        return (*self.calls, *(name for part in self.parts for name in _node_names(part)))


@reading("it is no program")
def read(data: bytes | memoryview) -> PteProgram:
    """Read and check a ``.pte`` file. Raises as `edgekit.runtime.contents.check`."""
    size, base = _layout(data)
    program = decode(memoryview(data)[:size], SCHEMA, "Program", b"ET12")
    if not program["execution_plan"]:
        raise Malformed("it holds no program")
    file = _File(memoryview(data), base, program)
    parts: list[Part] = []
    for plan in program["execution_plan"]:
        parts += _plan(file, plan)
    return PteProgram(program, data, tuple(parts))


def main_method(data: bytes | memoryview) -> str:
    """The method of a checked file that is meant where none is named."""
    if MAIN.encode() in data[: _layout(data)[0]]:  # nearly always; decoding it all takes as long as loading it
        return MAIN
    program = decode(memoryview(data)[: _layout(data)[0]], SCHEMA, "Program", b"ET12")
    return main_name([plan["name"] for plan in program["execution_plan"]])


def main_name(names: Collection[str]) -> str:
    """Which of a file's methods is meant where none is named: ``forward``, else the first."""
    return MAIN if MAIN in names else next(iter(names))


def _layout(data: bytes | memoryview) -> tuple[int, int]:
    """Bytes of the flatbuffer, and where the segments behind it begin: from ExecuTorch's extended header."""
    if len(data) < 40 or bytes(data[8:12]) != b"eh00":
        return len(data), len(data)
    _, size, base = struct.unpack_from("<IQQ", data, 12)
    if size > len(data) or (base and not size <= base <= len(data)):
        raise Malformed("its header is damaged")
    return size, base or len(data)


class _File:
    """The program's bytes besides the flatbuffer: segments, and the constants in them."""

    def __init__(self, data: memoryview, base: int, program: Table):
        self._data = data
        self._base = base
        self._program = program
        for segment in program["segments"]:
            if base + segment["offset"] + segment["size"] > len(data):
                raise Malformed("a segment is outside of the file")
        self.named: dict[str, memoryview] = {
            entry["key"]: self.segment(entry["segment_index"]) for entry in program["named_data"]
        }

    def segment(self, index: int) -> memoryview:
        _inside([index], len(self._program["segments"]), "a segment")
        segment = self._program["segments"][index]
        begin = self._base + segment["offset"]
        return self._data[begin : begin + segment["size"]]

    def constant(self, index: int) -> int:
        """Bytes from the begin of the constant with this number to the end of what it lies in."""
        inline = self._program["constant_buffer"]
        if inline:
            _inside([index], len(inline), "a constant")
            return len(inline[index]["storage"])
        return self._behind(self._program["constant_segment"], index)

    def mutable(self, index: int, segment: int) -> int:
        segments = self._program["mutable_data_segments"]
        _inside([segment], len(segments), "a segment")
        return self._behind(segments[segment], index)

    def _behind(self, subsegment: Table | None, index: int) -> int:
        offsets = () if subsegment is None else subsegment["offsets"]
        _inside([index], len(offsets), "a constant")
        assert subsegment is not None
        left = len(self.segment(subsegment["segment_index"])) - int(offsets[index])
        if left < 0:
            raise Malformed("a constant is outside of the file")
        return left

    def payload(self, reference: Table | None) -> memoryview:
        if reference is not None and reference["location"] == _SEGMENT:
            return self.segment(reference["index"])
        inline = self._program["backend_delegate_data"]
        _inside([-1 if reference is None else reference["index"]], len(inline), "a delegate")
        assert reference is not None
        if reference["location"] != _INLINE:
            raise Malformed("a delegate's data is nowhere")
        return memoryview(inline[reference["index"]]["data"] or b"")


def _plan(file: _File, plan: Table) -> Iterator[Part]:
    values = plan["values"]
    sizes = list(plan["non_const_buffer_sizes"])
    if any(size < 0 for size in sizes) or sum(sizes) > MAX_MEMORY_BYTES or len(plan["chains"]) != 1:
        raise Malformed("it plans for memory that there is not")
    if any(device["device_type"] for device in plan["non_const_buffer_device"]):
        raise Refused("it is for another device than the CPU", "copies to a device that it names")
    for value in values:
        _value(file, value, values, sizes)
    for side in ("inputs", "outputs"):
        _inside(plan[side], len(values), f"a value of the {side}")
    kernels = [_kernel(operator) for operator in plan["operators"]]
    parts = [_part(file, delegate) for delegate in plan["delegates"]]
    given = {*plan["inputs"], *plan["outputs"]}
    for chain in plan["chains"]:
        for call in chain["instructions"]:
            _call(call, values, kernels, parts, given, len(chain["instructions"]))
    yield from parts


def _value(file: _File, value: Table, values: Sequence[Table], sizes: Sequence[int]) -> None:
    kind, found = value["val_type"], value["val"]
    if kind == "":
        raise Malformed("a value is none")
    if kind == "Tensor":
        _tensor(file, found, sizes)
    elif kind == "IntList":  # of numbers that may be computed: each is a value
        _refers(found["items"], values, ("Int",))
        if any(abs(values[number]["val"]["int_val"]) > MAX_VALUES for number in found["items"]):
            raise Malformed("a list of sizes or axes holds a number that is none")
    elif kind == "TensorList":
        _refers(found["items"], values, ("Tensor",))
    elif kind == "OptionalTensorList":
        _refers([item for item in found["items"] if item != -1], values, ("Tensor", "Null"))


def _refers(numbers: Sequence[int], values: Sequence[Table], kinds: tuple[str, ...]) -> None:
    _inside(numbers, len(values), "a value of a list")
    if any(values[number]["val_type"] not in kinds for number in numbers):
        raise Malformed("a list holds a value of another kind")


def _tensor(file: _File, tensor: Table, sizes: Sequence[int]) -> None:
    shape, order = list(tensor["sizes"]), list(tensor["dim_order"])
    if tensor["scalar_type"] not in DTYPES or len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise Malformed("a tensor has no type or shape that there is")
    if sorted(order) != list(range(len(shape))) or tensor["storage_offset"] or tensor["layout"]:
        raise Malformed("a tensor has no order of axes that there is")
    count = math.prod(shape)
    if count > MAX_VALUES or not 0 <= tensor["shape_dynamism"] <= 2:
        raise Malformed(f"a tensor has {count:,} values")
    wanted = count * DTYPES[tensor["scalar_type"]][1]
    extra, allocation, number = tensor["extra_tensor_info"] or {}, tensor["allocation_info"], tensor["data_buffer_idx"]
    if extra.get("location") or extra.get("device_type"):
        raise Refused("it keeps weights in other files, or on another device", "reads what it names")
    if allocation is not None:
        memory = allocation["memory_id"]
        _inside([memory], len(sizes), "a tensor's memory")
        if (allocation["memory_offset_high"] << 32) + allocation["memory_offset_low"] + wanted > sizes[memory]:
            raise Malformed("a tensor is outside of the planned memory")
        if number and file.mutable(number, extra.get("mutable_data_segments_idx", 0)) < wanted:
            raise Malformed("a tensor's first value is outside of the file")
    elif number and file.constant(number) < wanted:
        raise Malformed("a constant is outside of the file")


@cache
def _kinds_by_name() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Kinds of value that each kernel takes."""
    found = {}
    for line in PTE.strip().replace("\n ", " ").splitlines():
        letters, _, names = line.partition(":")
        kinds = tuple(_KINDS.get(each) or (*_KINDS[each.upper()], "Null") for each in letters)
        for name in names.split():
            found[name if "::" in name else f"aten::{name}"] = kinds
    return found


def _kernel(operator: Table) -> tuple[tuple[str, ...], ...]:
    name = operator["name"] + (f".{operator['overload']}" if operator["overload"] else "")
    kinds = _kinds_by_name().get(name)
    if kinds is None:
        raise Refused(f"it holds the operator {shown(name)}", "calls a kernel that is not ExecuTorch's own")
    return kinds


def _part(file: _File, delegate: Table) -> Part:
    backend, payload = delegate["id"], file.payload(delegate["processed"])
    if backend not in PTE_BACKENDS:
        raise Refused(f"it delegates to {shown(backend)}", "hands a part to code that edgekit does not know")
    if backend == "XnnpackBackend":
        return Part(backend, payload, xnnpack.read(payload, file.named))
    return Part(backend, payload, vulkan.read(payload, file.named) if backend == "VulkanBackend" else None)


def _call(
    call: Table,
    values: Sequence[Table],
    kernels: Sequence[tuple[tuple[str, ...], ...]],
    parts: Sequence[Part],
    given: set[int],
    length: int,
) -> None:
    kind, told = call["instr_args_type"], call["instr_args"]
    if kind in ("KernelCall", "DelegateCall"):
        args = list(told["args"])
        _inside(args, len(values), "an argument")
        homeless = [number for number in args if number not in given and not _has_memory(values[number])]
        if homeless:
            raise Malformed("an argument has no memory")
    if kind == "KernelCall":
        _inside([told["op_index"]], len(kernels), "an operator")
        kinds = kernels[told["op_index"]]
        if len(args) != len(kinds) or any(
            values[number]["val_type"] not in each for number, each in zip(args, kinds, strict=True)
        ):
            raise Malformed("an operator is given other arguments than it takes")
    elif kind == "DelegateCall":
        _inside([told["delegate_index"]], len(parts), "a delegate")
        part = parts[told["delegate_index"]]
        tensors = [values[number]["val"] if values[number]["val_type"] == "Tensor" else None for number in args]
        if part.backend == "XnnpackBackend" and part.graph is not None:
            xnnpack.check_call(part.graph, tensors)
    elif kind == "MoveCall":
        _inside([told["move_from"], told["move_to"]], len(values), "a value")
    elif kind == "JumpFalseCall":
        _inside([told["cond_value_index"]], len(values), "a value")
        _inside([told["destination_instruction"]], length + 1, "a jump")
        condition = values[told["cond_value_index"]]
        if condition["val_type"] not in ("Bool", "Tensor"):
            raise Malformed("a jump depends on no truth value")
    elif kind == "FreeCall":
        _inside([told["value_index"]], len(values), "a value")
        if values[told["value_index"]]["val_type"] != "Tensor":
            raise Malformed("what is freed is no tensor")
    else:
        raise Malformed("an instruction is none")


def _has_memory(value: Table) -> bool:
    tensor = value["val"]
    return value["val_type"] != "Tensor" or bool(tensor["allocation_info"] or tensor["data_buffer_idx"])


def _node_names(part: Part) -> Iterator[str]:
    if part.graph is not None:
        yield from (
            xnnpack.node_names(part.graph) if part.backend == "XnnpackBackend" else vulkan.node_names(part.graph)
        )


def _inside(numbers: Sequence[int], count: int, what: str) -> None:
    if any(not 0 <= number < count for number in numbers):
        raise Malformed(f"{what} is outside of the program")
