"""Core ML's package inside a ``.pte``: a folder in one piece, with the program as protobuf and a file of weights.

The folder's table stands at the end, as JSON written backwards (executorch 1.5.1, ``inmemory_filesystem``). The program
is read by a schema (https://apple.github.io/coremltools/mlmodel/Format/Model.html): coremltools itself takes seconds to
import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from edgekit.pipeline.readers.facts import Call, Constant, Delegate, kinds
from edgekit.runtime.contents.protobuf import Message, Schema, decode
from edgekit.runtime.contents.pte import Part

_KINDS = kinds(convolution="conv conv_transpose", linear="linear matmul", recurrent="lstm gru rnn")
#: Values, and conversions between float32 and half precision: no operators of the model.
_PLUMBING = ("const", "cast")
#: ``MIL.proto``'s ``DataType``, of what weights can be.
_DTYPES = {10: "float16", 11: "float32", 12: "float64", 21: "int8", 31: "uint8"}
_SCHEMA = Schema(Path(__file__).with_suffix(".schema").read_text(encoding="utf-8"))


def read(part: Part) -> Delegate:
    """What is in Core ML's part of a ``.pte``.

    Raises:
        ValueError: It is none.
    """
    payload = bytes(part.payload)
    operations = list(_operations(_file(payload, "model.mlmodel")))
    shapes = {output["name"]: _shape(output["type"]) for each in operations for output in each.get("outputs", ())}
    calls = tuple(
        Call(each["type"], _work(each, shapes), delegated=True) for each in operations if each["type"] not in _PLUMBING
    )
    own = sha256(payload).hexdigest()  # a place says nothing outside of its package
    return Delegate(calls, {f"{own} {key}": constant for key, constant in _constants(operations)}, _KINDS)


def _file(payload: bytes, name: str) -> bytes:
    table, _ = json.JSONDecoder().raw_decode(payload[::-1].decode("latin-1"))
    region = next(node["dataRegion"] for node in table["nodes"] if node["name"] == name)
    return payload[region["offset"] : region["offset"] + region["size"]]


def _operations(model: bytes) -> Iterator[Message]:
    """All operations of a model: of every function, in every version of it, with those in their blocks."""
    for function in decode(model, _SCHEMA, "Model")["program"]["functions"]:
        for block in function["value"]["blocks"]:
            yield from _of_block(block["value"])


def _of_block(block: Message) -> Iterator[Message]:
    for operation in block.get("operations", ()):
        yield operation
        for nested in operation.get("blocks", ()):
            yield from _of_block(nested)


def _shape(kind: Message) -> tuple[int, ...]:
    """The shape in a ``ValueType``; of what is no tensor, none. Sizes that only the device knows are 1."""
    dimensions = kind.get("tensor", {}).get("dimensions", ())
    return tuple(dimension.get("constant", {}).get("size", 1) for dimension in dimensions)


def _work(operation: Message, shapes: Mapping[str, Sequence[int]]) -> int:
    """Values that an operation computes; multiply-accumulates of a convolution or a product."""
    values = sum(math.prod(_shape(output["type"])) for output in operation.get("outputs", ()))
    kind = _KINDS.get(operation["type"])
    parameter = "weight" if kind == "convolution" else "x"
    names = [
        binding["name"]
        for entry in operation.get("inputs", ())
        for binding in entry["value"]["arguments"]
        if entry["key"] == parameter and "name" in binding
    ]
    factors = shapes.get(names[-1], ()) if names else ()
    if kind == "convolution":
        return values * math.prod(factors[1:])
    return values * math.prod(factors[-1:]) if kind == "linear" else values


def _constants(operations: list[Message]) -> Iterator[tuple[str, Constant]]:
    """Constants that are weights, by their place in the file of weights; small ones stand in the program itself."""
    for index, operation in enumerate(operations):
        if operation["type"] != "const":
            continue
        value = {entry["key"]: entry["value"] for entry in operation["attributes"]}["val"]
        dtype = _DTYPES.get(value["type"].get("tensor", {}).get("data_type"))
        if dtype is None:  # no tensor; or a setting of an operator: a text, a truth value, whole numbers
            continue
        shape = _shape(value["type"])
        key = f"blob {value['blob']['offset']}" if "blob" in value else f"value {index}"
        yield key, Constant(dtype, shape, math.prod(shape) * np.dtype(dtype).itemsize)
