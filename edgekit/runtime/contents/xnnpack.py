"""XNNPACK's part of a ``.pte``: a header, a graph as a flatbuffer, and constants beside it or behind it.

ExecuTorch 1.5.1 hands it to XNNPACK without verifying it: a number of a value that there is not ends the process, and
constants are read by the shapes that the graph gives.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence

from edgekit.runtime.contents.allowed import XNNPACK
from edgekit.runtime.contents.flatbuffer import Schema, Table, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, shown
from edgekit.runtime.contents.sizes import MAX_VALUES, check_memory

SCHEMA = Schema.of("xnnpack")

#: ``XNNDatatype``: numpy's name, bits of one value, and how ``.pte`` types a tensor of it outside.
DTYPES = {
    1: ("float32", 32, 6), 2: ("float16", 16, 5), 3: ("int8", 8, 1), 4: ("uint8", 8, 0), 5: ("int32", 32, 3),
    6: ("int8", 8, 1), 7: ("int32", 32, 3), 8: ("int4", 4, None), 9: ("int8", 8, 1), 10: ("int4", 4, None),
    11: ("int8", 8, 1), 12: ("int32", 32, 3), 13: ("float32", 32, 6), 14: ("bfloat16", 16, 15),
}  # fmt: skip
#: XNNPACK has no more axes.
_MAX_AXES = 6
_NONE = (1 << 32) - 1
_NAMED = (1 << 64) - 1
_EXTERNAL = 3
#: Fields of nodes that count something, and are not 0.
_COUNTS = ("kernel_", "subsampling_", "dilation_", "pooling_", "stride_", "group", "new_height", "new_width")
#: Fields that may be 0.
_EDGES = ("adjustment_", "padding_top", "padding_right", "padding_bottom", "padding_left")
_MOST = 1 << 16


def read(payload: memoryview, named: Mapping[str, memoryview]) -> Table:
    """The graph in XNNPACK's part of a ``.pte``: the table ``XNNGraph`` of ExecuTorch's schema.

    Args:
        payload: The part.
        named: The program's named data.

    Raises:
        Refused: It holds a node that is not on the list.
        Malformed: It is none, or damaged.
    """
    if len(payload) < 30 or bytes(payload[4:8]) != b"XH00":
        raise Malformed("XNNPACK's part has no XH00 identifier")
    header, begin, size, behind, count = struct.unpack_from("<HIIIQ", payload, 8)
    if header < 30 or begin + size > len(payload) or behind + count > len(payload):
        raise Malformed("the header of XNNPACK's part is damaged")
    flatbuffer = payload[begin : begin + size]
    identifier = bytes(flatbuffer[4:8])
    if identifier not in (b"XN00", b"XN01"):
        raise Malformed("XNNPACK's part has no XN01 identifier")
    graph = decode(flatbuffer, SCHEMA, "XNNGraph", identifier)
    for entry in graph["constant_data"][1:]:
        _stored(entry, named, count)
    values = _values(graph, named, count)
    sizes = {number: 0 if value["constant_buffer_idx"] else _bytes(value) for number, value in values.items()}
    if not graph["xnodes"] or len(graph["input_ids"]) + len(graph["output_ids"]) != graph["num_externs"]:
        raise Malformed("XNNPACK's graph has other inputs and outputs than it says")
    if any(number not in values for number in (*graph["input_ids"], *graph["output_ids"])):
        raise Malformed("XNNPACK's graph has an input or output that there is not")
    order = {number: index for index, number in enumerate(values)}
    nodes = [[order[number] for number in _node(node, values)] for node in graph["xnodes"]]
    check_memory(nodes, list(sizes.values()))
    return graph


def check_call(graph: Table, tensors: Sequence[Table | None]) -> None:
    """Refuse a call of the graph with *tensors*, tables ``Tensor`` of the program, that are not what it takes.

    Raises:
        Malformed: They are not.
    """
    if len(tensors) < graph["num_externs"]:
        raise Malformed("XNNPACK's part is called with too few values")
    for value in map(tensor_of, graph["xvalues"]):
        if value["external_id"] == _NONE:
            continue
        given = tensors[value["external_id"]] if value["external_id"] < len(tensors) else None
        if given is None:
            raise Malformed("XNNPACK's part is called with another value than it takes")
        shape = list(given["sizes"]) or [1]  # XNNPACK has no tensors without axes
        if len(shape) != (len(value["dims"]) or 1):
            raise Malformed("XNNPACK's part is called with another tensor than it takes")
        if given["scalar_type"] not in (DTYPES[value["datatype"]][2], 4 if value["datatype"] == 12 else None):
            raise Malformed("XNNPACK's part is called with another type than it takes")
        if value["flags"] & 1 and shape != (list(value["dims"]) or [1]) and not given["shape_dynamism"]:
            raise Malformed("XNNPACK's part is called with another shape than it takes")


def node_names(graph: Table) -> list[str]:
    """The names of the nodes of a graph in order, ``XNNConv2d`` and the like."""
    return [node["xnode_union_type"] for node in graph["xnodes"]]


def tensor_of(value: Table) -> Table:
    """The table ``XNNTensorValue`` in a value of a graph, quantized or not."""
    found: Table = value["xvalue_union"]
    tensor: Table = found.get("tensor_value", found)
    return tensor


def _stored(entry: Table, named: Mapping[str, memoryview], count: int) -> int:
    """Bytes of a constant."""
    if entry["offset"] == _NAMED or entry["named_key"]:
        if entry["named_key"] not in named:
            raise Malformed("a constant of XNNPACK's part is not in the file")
        return min(len(named[entry["named_key"]]), entry["size"])
    if entry["offset"] + entry["size"] > count:
        raise Malformed("a constant of XNNPACK's part is outside of the file")
    size: int = entry["size"]
    return size


def _values(graph: Table, named: Mapping[str, memoryview], count: int) -> dict[int, Table]:
    """The tensors of the graph by number, each of them checked."""
    found: dict[int, Table] = {}
    externs = []
    for value in graph["xvalues"]:
        if value["xvalue_union"] is None or tensor_of(value) is None:
            raise Malformed("a value of XNNPACK's part is none")
        tensor = tensor_of(value)
        _tensor(value, graph, named, count)
        if tensor["id_out"] in found:
            raise Malformed("two values of XNNPACK's part have one number")
        found[tensor["id_out"]] = tensor
        if tensor["external_id"] != _NONE:
            externs.append(tensor["external_id"])
    if len(externs) != graph["num_externs"] or set(externs) != set(range(len(externs))):
        raise Malformed("XNNPACK's graph has other inputs and outputs than it says")
    return found


def _tensor(value: Table, graph: Table, named: Mapping[str, memoryview], count: int) -> None:
    tensor, params = tensor_of(value), value["xvalue_union"].get("quant_params")
    shape, index = list(tensor["dims"]), tensor["constant_buffer_idx"]
    if tensor["datatype"] not in DTYPES or tensor["num_dims"] != len(shape) or len(shape) > _MAX_AXES:
        raise Malformed("a tensor of XNNPACK's part has no type or shape that there is")
    if math.prod(shape) > MAX_VALUES:
        raise Malformed(f"a tensor of XNNPACK's part has {math.prod(shape):,} values")
    constants = graph["constant_data"]
    external = tensor["external_id"] != _NONE
    if index >= max(len(constants), 1) or external != bool(tensor["flags"] & _EXTERNAL) or (external and index):
        raise Malformed("a tensor of XNNPACK's part is nowhere")
    if index and _stored(constants[index], named, count) < _bytes(tensor):
        raise Malformed("a constant of XNNPACK's part is outside of the file")
    if tensor["datatype"] == 10 and index:
        block = (params or {}).get("group_size", 0)
        if block < 1 or len(shape) != 2 or shape[1] % block:
            raise Malformed("the blocks of a constant of XNNPACK's part do not fit it")
    if "quant_params" in value["xvalue_union"]:
        _check_params(value["xvalue_union"], shape, graph, named, count)


def _check_params(value: Table, shape: list[int], graph: Table, named: Mapping[str, memoryview], count: int) -> None:
    kind, params = value["quant_params_type"], value["quant_params"]
    if params is None:
        raise Malformed("a quantized tensor of XNNPACK's part has no scale")
    if kind == "PerTensorQuant" and not (math.isfinite(params["scale"]) and params["scale"] > 0):
        raise Malformed("a scale of XNNPACK's part is none")
    if kind == "PerTokenDynamicQuant" and not 0 <= params["num_nonbatch_dims"] <= len(shape):
        raise Malformed("a tensor of XNNPACK's part has no axes that there are")
    if kind in ("PerChannelQuant", "PerChannelGroupQuant"):
        if not 0 <= params["channel_dim"] < len(shape):
            raise Malformed("a scale of XNNPACK's part is for no axis")
        wanted, width = shape[params["channel_dim"]], 4
        if kind == "PerChannelGroupQuant":
            if params["group_size"] < 1:
                raise Malformed("a scale of XNNPACK's part is for no axis")
            wanted, width = math.prod(shape) // params["group_size"], 2
        index = params["scale_buffer_idx"]
        if index >= max(len(graph["constant_data"]), 1):
            raise Malformed("the scales of XNNPACK's part are outside of the file")
        if index:
            have = _stored(graph["constant_data"][index], named, count) // width
        else:
            have = max(len(params["scale"]), len(params.get("scale_bf16", ())))
        if have < wanted or (index and params["num_scales"] != wanted):
            raise Malformed(f"XNNPACK's part has {have} scales for {wanted} channels")


def _bytes(tensor: Table) -> int:
    shape, bits = list(tensor["dims"]), DTYPES[tensor["datatype"]][1]
    if bits == 4 and shape:  # rows are packed, each begins at a byte
        return math.prod(shape[:-1]) * ((shape[-1] + 1) // 2)
    return math.prod(shape) * bits // 8


def _node(node: Table, values: Mapping[int, Table]) -> Iterator[int]:
    """Check one node; the numbers of the values that it reads and writes."""
    name, told = node["xnode_union_type"], node["xnode_union"]
    if name not in XNNPACK or told is None:
        raise Refused(f"XNNPACK's part holds the node {shown(name)}", "runs what edgekit does not know")
    limits = node["output_min_max"]
    if limits is not None and not limits["output_min"] <= limits["output_max"]:
        raise Malformed(f"{name} has no limits that there are")
    used: dict[str, Table] = {}
    for field, number in told.items():
        if field.endswith("_id"):
            optional = field == "bias_id" or (name.startswith("XNNConcatenate") and field > f"input{name[-1]}_id")
            if (number == _NONE and optional) or (name.startswith("XNNConcatenate") and optional):
                continue
            if number not in values:
                raise Malformed(f"{name} takes a value that there is not")
            used[field] = values[number]
            yield number
            continue
        # Averages know no dilation, and say 0.
        least = 1 if field.startswith(_COUNTS) and (name, field[:9]) != ("XNNAvgPooling2d", "dilation_") else 0
        if field.startswith((*_COUNTS, *_EDGES)) and not least <= number <= _MOST:
            raise Malformed(f"{name}.{field} is {number}")
    if used.get("output_id", {}).get("constant_buffer_idx"):
        raise Malformed(f"{name} writes a constant")
    _check_shapes(name, told, used)


def _check_shapes(name: str, told: Table, used: Mapping[str, Table]) -> None:
    """Whether the constants of a node have the shapes by which XNNPACK reads them."""
    axes = len(used.get("input_id", used.get("input1_id", {"dims": ()}))["dims"])
    for field in ("perm", "new_shape", "offsets", "sizes", "pre_paddings", "post_paddings"):
        if field in told:
            numbers = list(told[field])
            length = told.get("num_dims", axes)
            if len(numbers) != length or length > _MAX_AXES or (field != "new_shape" and length != axes):
                raise Malformed(f"{name}.{field} has {len(numbers)} numbers")
            if field == "perm" and sorted(numbers) != list(range(length)):
                raise Malformed(f"{name}.perm is no order of axes")
    if "groups" in told:
        _check_convolution(name, told, used)
    elif name == "XNNFullyConnected":
        rows = list(used["filter_id"]["dims"])
        if len(rows) != 2 or ("bias_id" in used and math.prod(used["bias_id"]["dims"]) not in rows):
            raise Malformed(f"{name} has weights of a shape that there is not")
    if name == "XNNStaticConstantPad":
        given, output = used["input_id"], used["output_id"]
        wanted = [
            size + before + behind
            for size, before, behind in zip(given["dims"], told["pre_paddings"], told["post_paddings"], strict=True)
        ]
        if wanted != list(output["dims"]):
            raise Malformed(f"{name} gives {wanted}, its tensor is {list(output['dims'])}")
    if name == "XNNStaticSlice":
        for size, begin, length in zip(used["input_id"]["dims"], told["offsets"], told["sizes"], strict=True):
            if begin + length > size:
                raise Malformed(f"{name} takes what is outside of its tensor")
    if name == "XNNStaticReshape":
        numbers = [size for size in told["new_shape"] if size]
        if math.prod(numbers) > max(math.prod(used["input_id"]["dims"]), 1):
            raise Malformed(f"{name} gives more values than there are")
    if name == "XNNStaticResizeBilinear2D" and list(used["output_id"]["dims"])[1:3] != [
        told["new_height"],
        told["new_width"],
    ]:
        raise Malformed(f"{name} gives another shape than its tensor's")


def _check_convolution(name: str, told: Table, used: Mapping[str, Table]) -> None:
    inputs, outputs, groups = told["group_input_channels"], told["group_output_channels"], told["groups"]
    wanted = groups * inputs * outputs * told["kernel_height"] * told["kernel_width"]
    stored = math.prod(used["filter_id"]["dims"])
    biases = math.prod(used["bias_id"]["dims"]) if "bias_id" in used else groups * outputs
    if stored != wanted or biases != groups * outputs or len(used["input1_id"]["dims"]) != 4:
        raise Malformed(f"{name} has weights of another shape than it says")
