"""``.tflite``: operators by allow-list, and every number in it that LiteRT takes for granted.

LiteRT 2.3.0 believes numbers of tensors and buffers, shapes of constants and the order of operators, and reads or
writes outside of its memory where they are wrong.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.runtime.contents.allowed import TFLITE_CUSTOM, TFLITE_NUMBERED
from edgekit.runtime.contents.flatbuffer import Schema, Table, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES, check_memory
from edgekit.runtime.contents.tflite_shapes import check_shape

SCHEMA = Schema.of("tflite")

#: ``TensorType``: numpy's name, or LiteRT's where numpy has none, and bits of one value; 0 where values have no size.
TYPES = (
    ("float32", 32), ("float16", 16), ("int32", 32), ("uint8", 8), ("int64", 64), ("string", 0), ("bool", 8),
    ("int16", 16), ("complex64", 64), ("int8", 8), ("float64", 64), ("complex128", 128), ("uint64", 64),
    ("resource", 0), ("variant", 0), ("uint32", 32), ("uint16", 16), ("int4", 4), ("bfloat16", 16), ("int2", 2),
    ("uint4", 4), ("float8_e4m3fn", 8), ("float8_e5m2", 8),
)  # fmt: skip
_STRING = 5
#: Fields of operators' options that name other subgraphs.
_SUBGRAPHS = ("_subgraph_index", "_subgraph_indices")
_CUSTOM = 32
_LEAST_SCALE = 1.17549435e-38
#: Operators on variables that are no tensors of a graph.
ON_VARIABLES = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
#: What a file's signature is called when nobody named it: by TensorFlow and litert-torch, and by PyTorch.
_UNNAMED = ("serving_default", "forward")

_RECURRENT = {1, 5, *range(9, 13), 16, 17}
#: Indices of the inputs that an operator may do without; all others are read, whether they are there or not.
_OPTIONAL = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D"), frozenset({2})),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE", "SVDF"), frozenset({3})),
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"), frozenset(_RECURRENT | {*range(20, 24)})),
    "BIDIRECTIONAL_SEQUENCE_LSTM": frozenset(_RECURRENT | {18, 22, *range(26, 30), 33, 34, *range(39, 48)}),
    "BIDIRECTIONAL_SEQUENCE_RNN": frozenset(range(9, 12)),
    "RESHAPE": frozenset({1}),
}


@dataclass(frozen=True)
class TfliteModel:
    """One ``.tflite`` file.

    Attributes:
        model: The table ``Model`` of LiteRT's ``schema.fbs``.
        data: The file.
        names: The operator of each entry of ``operator_codes``; a custom one by its own name.
    """

    model: Table
    data: bytes | memoryview
    names: tuple[str, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators of all subgraphs, in order."""
        graphs = self.model["subgraphs"]
        return tuple(self.names[node["opcode_index"]] for graph in graphs for node in graph["operators"])

    @property
    def variables(self) -> list[str]:
        """Names of the tensors that keep their values from one call to the next."""
        graphs = self.model["subgraphs"]
        return [tensor["name"] for graph in graphs for tensor in graph["tensors"] if tensor["is_variable"]]

    def stored(self, tensor: Table) -> memoryview:
        """The bytes of a constant; empty for a tensor that is computed."""
        return _stored(self.data, self.model["buffers"][tensor["buffer"]])


def main_key(keys: Sequence[str]) -> str:
    """Which of a file's signatures is meant where none is named: the only one, the one that nobody named, the first."""
    return keys[0] if len(keys) == 1 else next((key for key in _UNNAMED if key in keys), keys[0])


@reading("it is no model")
def read(data: bytes | memoryview) -> TfliteModel:
    """Read and check a ``.tflite`` file. Raises as `edgekit.runtime.contents.check`."""
    model = decode(data, SCHEMA, "Model", b"TFL3")
    if model["version"] != 3 or not model["subgraphs"] or not model["buffers"]:
        raise Malformed("it holds no model")
    if model["external_buffers"] or model["external_buffer_groups"]:
        raise Refused("it keeps weights in other files", "reads files that it names")
    names = tuple(_name(code) for code in model["operator_codes"])
    found = TfliteModel(model, data, names)
    for buffer in model["buffers"]:
        _stored(data, buffer)
    _inside(model["metadata_buffer"], len(model["buffers"]), "a buffer of metadata")
    _inside([entry["buffer"] for entry in model["metadata"]], len(model["buffers"]), "a buffer of metadata")
    calls = [list(_graph(found, graph)) for graph in model["subgraphs"]]
    _check_calls(calls)
    for signature in model["signature_defs"]:
        _inside([signature["subgraph_index"]], len(calls), "the subgraph of a signature")
        graph = model["subgraphs"][signature["subgraph_index"]]
        for side in ("inputs", "outputs"):
            numbers = [entry["tensor_index"] for entry in signature[side]]
            _inside(numbers, len(graph["tensors"]), f"a tensor of the signature's {side}")
            if set(numbers) - set(graph[side]):
                raise Malformed(f"its signature has {side} that the subgraph does not have")
    return found


def signatures(path: Path) -> tuple[str, ...]:
    """Names of the signatures of the file at *path*. Raises as `read`."""
    return tuple(entry["signature_key"] for entry in read(path.read_bytes()).model["signature_defs"])


def _name(code: Table) -> str:
    number = max(code["deprecated_builtin_code"], code["builtin_code"])
    name = TFLITE_NUMBERED[number] if 0 <= number < len(TFLITE_NUMBERED) else f"-number {number}"
    if number == _CUSTOM:
        custom: str = code["custom_code"]
        if custom.startswith("Flex"):
            raise Refused(f"it holds {shown(custom)}, an operator of TensorFlow", "runs any operator of TensorFlow")
        if custom not in TFLITE_CUSTOM:
            raise Refused(f"it holds the custom operator {shown(custom)}", "runs code that is not LiteRT's own")
        return custom
    if name.startswith("-"):
        raise Refused(f"it holds the operator {name[1:]}", "calls what is not LiteRT's own")
    return name


def _stored(data: bytes | memoryview, buffer: Table) -> memoryview:
    # ai-edge-quantizer writes the contents of larger models behind the flatbuffer, and their offset into it.
    offset, size = buffer["offset"], buffer["size"]
    if offset <= 1:
        return memoryview(buffer["data"] or b"")
    if len(buffer["data"]) or offset + size > len(data):
        raise Malformed("a buffer is outside of the file")
    return memoryview(data)[offset : offset + size]


def _graph(found: TfliteModel, graph: Table) -> Iterator[int]:
    """Check one subgraph; the numbers of those that it calls."""
    tensors = graph["tensors"]
    sizes = [_tensor(found, tensor, len(tensors)) for tensor in tensors]
    for side in ("inputs", "outputs"):
        _inside(graph[side], len(tensors), f"a tensor of a subgraph's {side}")
    constant = {number for number, tensor in enumerate(tensors) if len(found.stored(tensor))}
    ready = {*constant, *graph["inputs"], *(n for n, tensor in enumerate(tensors) if tensor["is_variable"])}
    if constant & set(graph["inputs"]):
        raise Malformed("a constant is an input")
    nodes = []
    for node in graph["operators"]:
        yield from _node(found, node, len(tensors))
        check_shape(found.names[node["opcode_index"]], node, tensors, found.stored)
        inputs = [number for number in node["inputs"] if number >= 0]
        if not set(inputs) <= ready or constant & set(node["outputs"]):
            raise Malformed("an operator takes what is not computed yet, or writes a constant")
        ready.update(node["outputs"])
        nodes.append([*inputs, *node["outputs"]])
    if not set(graph["outputs"]) <= ready:
        raise Malformed("an output is never computed")
    check_memory(nodes, [0 if number in constant else size for number, size in enumerate(sizes)])


def _tensor(found: TfliteModel, tensor: Table, count: int) -> int:
    """Check one tensor; its size in bytes, 0 where values have no size."""
    model, kind, shape = found.model, tensor["type"], list(tensor["shape"])
    _inside([tensor["buffer"]], len(model["buffers"]), "a buffer")
    if not 0 <= kind < len(TYPES) or len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise Malformed(f"the tensor {shown(tensor['name'])} has no type or shape that there is")
    values = math.prod(shape)
    if values > MAX_VALUES:
        raise Malformed(f"the tensor {shown(tensor['name'])} has {values:,} values")
    name, bits = TYPES[kind]
    size = (values * bits + 7) // 8
    stored = found.stored(tensor)
    if tensor["external_buffer"]:
        raise Refused("it keeps weights in other files", "reads files that it names")
    if tensor["sparsity"] is not None:
        _check_sparsity(tensor, len(stored), bits, shape)
    elif kind == _STRING:
        _check_strings(stored)
    elif len(stored) and (len(stored) != size or not bits):
        raise Malformed(f"the constant {shown(tensor['name'])}, {name}{shape}, has {len(stored):,} bytes")
    if tensor["quantization"] is not None:
        _check_quantization(tensor["quantization"], shape, count)
    for variant in tensor["variant_tensors"]:
        if not 0 <= variant["type"] < len(TYPES):
            raise Malformed("a variant tensor has no type that there is")
    return size


def _check_quantization(found: Table, shape: list[int], count: int) -> None:
    scales, zero_points, axis = len(found["scale"]), len(found["zero_point"]), found["quantized_dimension"]
    if scales > 1 and not (0 <= axis < len(shape) and shape[axis] == scales):
        raise Malformed(f"{scales} scales are for no axis of {shape}")
    if zero_points not in (scales, 1 if scales else 0):
        raise Malformed(f"it has {zero_points} zero points for {scales} scales")
    # LiteRT 2.3.0 ends its process (SIGABRT) where a scale is smaller than any that is stored in full.
    scaled = all(scale == 0 or _LEAST_SCALE <= abs(scale) < math.inf for scale in found["scale"])
    if not scaled or any(abs(point) > MAX_VALUES for point in found["zero_point"]):
        raise Malformed("a scale or zero point is none")
    details = found["details"] or {}
    for name in ("scales", "zero_points"):
        if name in details and not -1 <= details[name] < count:
            raise Malformed(f"the tensor of {name} is none of the graph's")


def _check_strings(stored: memoryview) -> None:
    """A number, as many offsets and one more, then text."""
    if not len(stored):
        return
    count = struct.unpack_from("<i", stored)[0] if len(stored) >= 4 else -1
    if not 0 <= count <= len(stored) // 4 - 2:
        raise Malformed("a constant of texts is damaged")
    offsets = struct.unpack_from(f"<{count + 1}i", stored, 4)
    begin = 4 * (count + 2)
    if offsets[0] < begin or offsets[-1] > len(stored) or list(offsets) != sorted(offsets):
        raise Malformed("a constant of texts is damaged")


def _check_sparsity(tensor: Table, stored: int, bits: int, shape: list[int]) -> None:
    """A sparse constant, as ``DENSIFY`` unpacks it: level by level, the rows and columns of what is not zero.

    Format: the comment on ``SparsityParameters`` in LiteRT's ``schema.fbs``.
    """
    found = tensor["sparsity"]
    order, blocks, levels = list(found["traversal_order"]), list(found["block_map"]), found["dim_metadata"]
    axes = len(shape)
    if sorted(order) != list(range(axes + len(blocks))) or len(levels) != len(order) or not bits:
        raise Malformed(f"the sparse constant {shown(tensor['name'])} is damaged")
    if any(not 0 <= axis < axes for axis in blocks):
        raise Malformed(f"the sparse constant {shown(tensor['name'])} is damaged")
    sizes = dict(enumerate(shape))
    for number, axis in enumerate(blocks):
        block = levels[order.index(axes + number)]["dense_size"]
        if block < 1 or sizes[axis] % block:
            raise Malformed(f"the sparse constant {shown(tensor['name'])} is damaged")
        sizes[axis] //= block
        sizes[axes + number] = block
    count = 1
    for axis, level in zip(order, levels, strict=True):
        count = _entries(tensor, level, count, sizes[axis])
    if (count * bits + 7) // 8 != stored:
        raise Malformed(f"the sparse constant {shown(tensor['name'])} has {stored:,} bytes")


def _entries(tensor: Table, level: Table, rows: int, size: int) -> int:
    """How many entries one level has, below *rows* of the level above it."""
    if level["format"] == 0:
        if level["dense_size"] != size:
            raise Malformed(f"the sparse constant {shown(tensor['name'])} is damaged")
        return rows * size
    segments = list((level["array_segments"] or {}).get("values", ()))
    indices = list((level["array_indices"] or {}).get("values", ()))
    rising = segments == sorted(segments) and len(segments) == rows + 1 and segments[0] == 0
    if not rising or segments[-1] != len(indices) or any(not 0 <= index < size for index in indices):
        raise Malformed(f"the sparse constant {shown(tensor['name'])} is damaged")
    return len(indices)


def _node(found: TfliteModel, node: Table, tensors: int) -> Iterator[int]:
    """Check one operator; the numbers of the subgraphs that it calls."""
    _inside([node["opcode_index"]], len(found.names), "an operator's kind")
    if any(not -1 <= number < tensors for number in (*node["inputs"], *node["intermediates"])):
        raise Malformed("a tensor of an operator is outside of the model")
    name = found.names[node["opcode_index"]]
    missing = {index for index, number in enumerate(node["inputs"]) if number < 0}
    if not missing <= _OPTIONAL.get(name, frozenset()):  # its kernel would read from nowhere
        raise Malformed(f"an input of {name} is missing")
    _inside(node["outputs"], tensors, "a tensor of an operator")
    if node["large_custom_options_offset"] + node["large_custom_options_size"] > len(found.data):
        raise Malformed("the options of an operator are outside of the file")
    for options in (node["builtin_options"] or {}, node["builtin_options2"] or {}):
        for name, value in options.items():
            if name.endswith(_SUBGRAPHS):
                yield from [value] if isinstance(value, int) else value


def _check_calls(calls: Sequence[Sequence[int]]) -> None:
    """Subgraphs call others that there are, and none itself, by whatever way round."""
    for called in calls:
        _inside(called, len(calls), "a subgraph that an operator calls")
    depth = [0] * len(calls)
    for _ in range(len(calls) + 1):
        deeper = [max((1 + depth[number] for number in called), default=0) for called in calls]
        if deeper == depth:
            return
        depth = deeper
    raise Malformed("a subgraph calls itself")


def _inside(numbers: Sequence[int], count: int, what: str) -> None:
    if any(not 0 <= number < count for number in numbers):
        raise Malformed(f"{what} is outside of the model")
