"""Core ML's package inside a ``.pte``: a folder in one piece, with the program as protobuf and a file of weights.

The folder's table stands at the end, as JSON written backwards (executorch 1.5.1, ``inmemory_filesystem``). Field
numbers of the program are those of coremltools' ``Model.proto`` and ``MIL.proto``
(https://apple.github.io/coremltools/mlmodel/Format/Model.html); coremltools itself takes seconds to import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from edgekit.pipeline.readers.facts import Call, Constant, Delegate, kinds
from edgekit.pipeline.readers.protobuf import fields, number
from edgekit.runtime.contents.pte import Part

_KINDS = kinds(convolution="conv conv_transpose", linear="linear matmul", recurrent="lstm gru rnn")
#: Values, and conversions between float32 and half precision: no operators of the model.
_PLUMBING = ("const", "cast")
#: ``MIL.proto``'s ``DataType``, of what weights can be.
_DTYPES = {10: "float16", 11: "float32", 12: "float64", 21: "int8", 31: "uint8"}
_PROGRAM = 502


class _Operation(NamedTuple):
    """One operation: names of what goes in, by parameter, and shapes of what comes out, by name."""

    kind: str
    attributes: dict[str, bytes]
    inputs: dict[str, str]
    outputs: dict[str, list[int]]


def read(part: Part) -> Delegate:
    """What is in Core ML's part of a ``.pte``.

    Raises:
        ValueError: It is none.
    """
    payload = bytes(part.payload)
    operations = list(_operations(_file(payload, "model.mlmodel")))
    shapes = {name: shape for each in operations for name, shape in each.outputs.items()}
    calls = tuple(
        Call(each.kind, _work(each, shapes), delegated=True) for each in operations if each.kind not in _PLUMBING
    )
    own = sha256(payload).hexdigest()  # a place says nothing outside of its package
    return Delegate(calls, {f"{own} {place}": constant for place, constant in _constants(operations)}, _KINDS)


def _file(payload: bytes, name: str) -> bytes:
    table, _ = json.JSONDecoder().raw_decode(payload[::-1].decode("latin-1"))
    region = next(node["dataRegion"] for node in table["nodes"] if node["name"] == name)
    return payload[region["offset"] : region["offset"] + region["size"]]


def _operations(model: bytes) -> Iterator[_Operation]:
    """All operations of a model: of every function, in every version of it, with those in their blocks."""
    (program,) = fields(model)[_PROGRAM]
    for function in fields(program)[2]:
        for block in fields(fields(function)[2][0])[3]:
            yield from _of_block(fields(block)[2][0])


def _of_block(block: bytes) -> Iterator[_Operation]:
    for operation in fields(block)[3]:
        parts = fields(operation)
        attributes = (fields(entry) for entry in parts[5])
        yield _Operation(
            parts[1][0].decode(),
            {entry[1][0].decode(): entry[2][0] for entry in attributes},
            dict(_inputs(parts[2])),
            {fields(output)[1][0].decode(): _shape(fields(output)[2][0]) for output in parts[3]},
        )
        for nested in parts[4]:
            yield from _of_block(nested)


def _inputs(entries: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    """Parameters that are given a value by its name."""
    for entry in map(fields, entries):
        for binding in map(fields, fields(entry[2][0])[1]):
            if binding[1]:
                yield entry[1][0].decode(), binding[1][0].decode()


def _shape(kind: bytes) -> list[int]:
    """The shape in a ``ValueType``; of what is no tensor, or has sizes that only the device knows, none."""
    if not (tensor := fields(kind)[1]):
        return []
    dimensions = [fields(dimension)[1] for dimension in fields(tensor[0])[3]]
    return [number(fields(known[0])[1][0]) if known and fields(known[0])[1] else 1 for known in dimensions]


def _work(operation: _Operation, shapes: Mapping[str, Sequence[int]]) -> int:
    """Values that an operation computes; multiply-accumulates of a convolution or a product."""
    values = sum(math.prod(shape) for shape in operation.outputs.values())
    kind = _KINDS.get(operation.kind)
    factors = shapes.get(operation.inputs.get("weight" if kind == "convolution" else "x", ""), ())
    if kind == "convolution":
        return values * math.prod(factors[1:])
    return values * math.prod(factors[-1:]) if kind == "linear" else values


def _constants(operations: list[_Operation]) -> Iterator[tuple[str, Constant]]:
    """Constants that are weights, by their place in the file of weights; small ones stand in the program itself."""
    for index, operation in enumerate(operations):
        if operation.kind != "const":
            continue
        value = fields(operation.attributes["val"])
        kind = fields(value[2][0])
        if 1 not in kind:  # no tensor
            continue
        tensor = fields(kind[1][0])
        dtype = _DTYPES.get(number(tensor[1][0]))
        if dtype is None:  # a setting of an operator: a text, a truth value, whole numbers
            continue
        shape = tuple(number(fields(fields(dimension)[1][0])[1][0]) for dimension in tensor[3])
        place = f"blob {number(fields(value[5][0])[2][0])}" if value[5] else f"value {index}"
        yield place, Constant(dtype, shape, math.prod(shape) * np.dtype(dtype).itemsize)
