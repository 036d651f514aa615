"""``.onnx``: graphs with operators by allow-list, and all their tensors in the file itself, or in files beside it.

ONNX Runtime reads files that a model names, takes libraries' operators by any domain, and reads a file that begins
like one of its own format as that, whatever else it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.runtime.contents.allowed import ONNX
from edgekit.runtime.contents.protobuf import Message, Schema, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES

SCHEMA = Schema.of("onnx")

#: ``TensorProto.DataType``: numpy's name, or ONNX's where numpy has none, bits of one value, and the field that holds
#: values other than as raw bytes.
DTYPES = {
    1: ("float32", 32, "float_data"), 2: ("uint8", 8, "int32_data"), 3: ("int8", 8, "int32_data"),
    4: ("uint16", 16, "int32_data"), 5: ("int16", 16, "int32_data"), 6: ("int32", 32, "int32_data"),
    7: ("int64", 64, "int64_data"), 8: ("string", 0, "string_data"), 9: ("bool", 8, "int32_data"),
    10: ("float16", 16, "int32_data"), 11: ("float64", 64, "double_data"), 12: ("uint32", 32, "uint64_data"),
    13: ("uint64", 64, "uint64_data"), 14: ("complex64", 64, "float_data"), 15: ("complex128", 128, "double_data"),
    16: ("bfloat16", 16, "int32_data"), 17: ("float8_e4m3fn", 8, "int32_data"),
    18: ("float8_e4m3fnuz", 8, "int32_data"), 19: ("float8_e5m2", 8, "int32_data"),
    20: ("float8_e5m2fnuz", 8, "int32_data"), 21: ("uint4", 4, "int32_data"), 22: ("int4", 4, "int32_data"),
    23: ("float4_e2m1", 4, "int32_data"), 24: ("float8_e8m0", 8, "int32_data"), 25: ("uint2", 2, "int32_data"),
    26: ("int2", 2, "int32_data"),
}  # fmt: skip
_DATA = ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
#: Where ONNX Runtime looks for the mark of its own format.
_OWN_FORMAT = b"ORTM"
_MAX_NESTED = 16


@dataclass(frozen=True)
class OnnxModel:
    """One ``.onnx`` file.

    Attributes:
        model: The message ``ModelProto`` of ``onnx.proto``.
        graphs: Its graphs and functions, with the graphs inside their operators.
        data: The file.
    """

    model: Message
    graphs: tuple[Message, ...]
    data: bytes | memoryview

    @property
    def nodes(self) -> Iterator[Message]:
        return (node for graph in self.graphs for node in graph.get("node", ()))

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators of all graphs, in order."""
        return tuple(node["op_type"] for node in self.nodes)


def read_file(path: Path) -> OnnxModel:
    """Read and check the ``.onnx`` file at *path*, whose tensors may lie in files of the same folder.

    Raises:
        Malformed, OSError: As `read`, or it cannot be read.
    """
    return read(path.read_bytes(), path.parent)


def beside(path: Path) -> tuple[Path, ...]:
    """The files that the ``.onnx`` file at *path* has tensors in; none for a file that is not taken."""
    try:
        found = read_file(path)
    except (Malformed, OSError):
        return ()
    tensors = (each for graph in found.graphs for each in _tensors(graph) if _is_outside(each))
    return tuple(dict.fromkeys(path.parent / _location(each)[0] for each in tensors))


@reading("it is no model")
def read(data: bytes | memoryview, folder: Path | None = None) -> OnnxModel:
    """Read and check an ``.onnx`` file. Raises as `edgekit.runtime.contents.check`.

    Args:
        folder: Where files may lie that hold tensors of it; None for nowhere.
    """
    if bytes(data[4:8]) == _OWN_FORMAT:
        raise Refused("it is of ONNX Runtime's own format", "is run unread")
    model = decode(data, SCHEMA, "ModelProto")
    if not model.get("graph", {}).get("node"):
        raise Malformed("it holds no graph")
    if model.get("training_info"):
        raise Refused("it holds a training loop", "runs it")
    functions = {_identity(function): function for function in model.get("functions", ())}
    if len(functions) < len(model.get("functions", ())):
        raise Malformed("it has two functions of one name")
    for domain, name, _ in functions:
        if domain in ("", "ai.onnx") or not name:
            raise Refused(f"it defines {shown(name)} anew", "stands for an operator of ONNX")
    graphs = [graph for each in (model["graph"], *functions.values()) for graph in _within(each, 0)]
    calls = {key: [_check_node(node, functions, folder) for node in _nodes(functions[key])] for key in functions}
    for node in _nodes(model["graph"]):
        _check_node(node, functions, folder)
    _check_calls(calls)
    for graph in graphs:
        if graph.get("sparse_initializer"):
            raise Refused("it holds sparse weights", "are unpacked to any size")
        for tensor in graph.get("initializer", ()):
            _check_tensor(tensor, folder)
    return OnnxModel(model, tuple(graphs), data)


def _within(graph: Message, depth: int) -> Iterator[Message]:
    """*graph* and the graphs inside its operators: bodies of loops and branches."""
    if depth > _MAX_NESTED:
        raise Malformed("its graphs nest too deep")
    yield graph
    for node in graph.get("node", ()):
        for attribute in node.get("attribute", ()):
            for inner in (attribute.get("g"), *attribute.get("graphs", ())):
                if inner is not None:
                    yield from _within(inner, depth + 1)


def _nodes(graph: Message) -> Iterator[Message]:
    return (node for each in _within(graph, 0) for node in each.get("node", ()))


def _identity(named: Message) -> tuple[str, str, str]:
    name = named.get("op_type", named.get("name", ""))
    return str(named.get("domain", "")), str(name), str(named.get("overload", ""))


def _check_node(
    node: Message, functions: dict[tuple[str, str, str], Message], folder: Path | None
) -> tuple[str, str, str] | None:
    """Check one operator; which function of the file it calls, if it calls one."""
    key = domain, name, _ = _identity(node)
    node.setdefault("op_type", "")
    for attribute in node.get("attribute", ()):
        _check_attribute(attribute, folder)
    if key in functions:
        return key
    if name not in ONNX.get("" if domain == "ai.onnx" else domain, ()):
        whole = f"{domain}.{name}" if domain else name
        raise Refused(f"it holds the operator {shown(whole)}", "calls what is not ONNX's own")
    return None


def _tensors(graph: Message) -> Iterator[Message]:
    """The tensors of *graph* itself: its weights, and those that operators hold."""
    yield from graph.get("initializer", ())
    for node in graph.get("node", ()):
        for attribute in node.get("attribute", ()):
            yield from _held(attribute)


def _held(attribute: Message) -> Iterator[Message]:
    return (each for each in (attribute.get("t"), *attribute.get("tensors", ())) if each is not None)


def _check_attribute(attribute: Message, folder: Path | None) -> None:
    if attribute.get("sparse_tensor") is not None or attribute.get("sparse_tensors"):
        raise Refused("it holds sparse weights", "are unpacked to any size")
    for tensor in _held(attribute):
        _check_tensor(tensor, folder)


def _is_outside(tensor: Message) -> bool:
    return bool(tensor.get("data_location") or tensor.get("external_data"))


def _location(tensor: Message) -> tuple[str, int, int | None]:
    """The file that *tensor* lies in, where in it, and how many bytes it says it has."""
    said = {each.get("key", ""): each.get("value", "") for each in tensor.get("external_data", ())}
    length = int(said["length"]) if "length" in said else None
    return str(said.get("location", "")), int(said.get("offset") or 0), length


def _check_outside(tensor: Message, name: str, size_bytes: int, folder: Path | None) -> None:
    """Whether a tensor lies in a file of *folder* that holds it."""
    if folder is None:
        raise Refused(f"its tensor {name} is in another file", "reads the file that it names")
    location, offset, length = _location(tensor)
    path = folder / location
    if not location or not path.resolve().is_relative_to(folder.resolve()):
        message = f"its tensor {name} is in {shown(location)}, which is not in the model's own folder"
        raise Refused(message, "reads the file that it names", "put all files of the model in one folder")
    if not path.is_file():
        raise Malformed(f"its tensor {name} is in the file {shown(location)}, which is not beside it")
    if offset < 0 or (length is not None and length != size_bytes) or offset + size_bytes > path.stat().st_size:
        raise Malformed(f"its tensor {name} is not whole in the file {shown(location)}")


def _check_tensor(tensor: Message, folder: Path | None) -> None:
    name = shown(tensor.get("name", ""))
    shape, kind = tensor.get("dims", []), tensor.get("data_type", 0)
    if kind not in DTYPES or len(shape) > MAX_AXES or min(shape, default=0) < 0 or math.prod(shape) > MAX_VALUES:
        raise Malformed(f"its tensor {name} has no type or shape that there is")
    dtype, bits, field = DTYPES[kind]
    count, used = math.prod(shape), [each for each in _DATA if each in tensor]
    if _is_outside(tensor):
        if used or not bits:
            raise Malformed(f"its tensor {name} is there in parts")
        return _check_outside(tensor, name, (count * bits + 7) // 8, folder)
    if len(used) > 1 or tensor.get("segment") is not None:
        raise Malformed(f"its tensor {name} is there in parts")
    if used == ["raw_data"]:
        fits = bits > 0 and len(tensor["raw_data"]) == (count * bits + 7) // 8
    elif used:
        held: Any = tensor[used[0]]
        wanted = count * (2 if dtype.startswith("complex") else 1)
        wanted = (wanted * bits + 7) // 8 if 0 < bits < 8 else wanted
        fits = used == [field] and (held if isinstance(held, int) else len(held)) == wanted
    else:
        fits = count == 0
    if not fits:
        raise Malformed(f"its tensor {name}, {dtype}{shape}, does not hold {count:,} values")


def _check_calls(calls: dict[tuple[str, str, str], list[tuple[str, str, str] | None]]) -> None:
    """No function calls itself, by whatever way round."""
    done: set[tuple[str, str, str]] = set()
    left = {key: {each for each in called if each is not None} for key, called in calls.items()}
    while left:
        ready = [key for key, called in left.items() if called <= done]
        if not ready:
            raise Malformed("a function of it calls itself")
        done.update(ready)
        for key in ready:
            del left[key]
