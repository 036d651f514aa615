"""Core ML's package inside a ``.pte``: a folder in one piece, with the program as protobuf and a file of weights.

The folder's table stands at the end, as JSON written backwards (executorch 1.5.1, ``inmemory_filesystem``). Field
numbers of the program are those of coremltools' ``Model.proto`` and ``MIL.proto``
(https://apple.github.io/coremltools/mlmodel/Format/Model.html); coremltools itself takes seconds to import.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from edgekit.pipeline.inspection import Constant
from edgekit.pipeline.readers.delegate import Delegate
from edgekit.pipeline.readers.protobuf import fields, number
from edgekit.runtime.contents.pte import Part

_KINDS = {
    "conv": "convolution",
    "conv_transpose": "convolution",
    "linear": "linear",
    "matmul": "linear",
    "lstm": "recurrent",
    "gru": "recurrent",
    "rnn": "recurrent",
}
#: Values, and conversions between float32 and half precision: no operators of the model.
_PLUMBING = ("const", "cast")
#: ``MIL.proto``'s ``DataType``, of what weights can be.
_DTYPES = {10: "float16", 11: "float32", 12: "float64", 21: "int8", 31: "uint8"}
_PROGRAM = 502


class _Operation(NamedTuple):
    kind: str
    attributes: dict[str, bytes]


def read(part: Part) -> Delegate:
    """What is in Core ML's part of a ``.pte``.

    Raises:
        ValueError: It is none.
    """
    payload = bytes(part.payload)
    operations = list(_operations(_file(payload, "model.mlmodel")))
    operators = tuple(each.kind for each in operations if each.kind not in _PLUMBING)
    own = sha256(payload).hexdigest()  # a place says nothing outside of its package
    return Delegate(operators, {f"{own} {place}": constant for place, constant in _constants(operations)}, _KINDS)


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
        yield _Operation(parts[1][0].decode(), {entry[1][0].decode(): entry[2][0] for entry in attributes})
        for nested in parts[4]:
            yield from _of_block(nested)


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
        shape = [number(fields(fields(dimension)[1][0])[1][0]) for dimension in tensor[3]]
        place = f"blob {number(fields(value[5][0])[2][0])}" if value[5] else f"value {index}"
        yield place, Constant(dtype, len(shape), math.prod(shape) * np.dtype(dtype).itemsize)
