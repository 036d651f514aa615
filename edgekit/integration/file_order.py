"""In which order a ``.tflite`` file has its inputs and outputs, which is how apps address them.

It is not always the signature's: converters sort by name, or number. Reads the flatbuffer's few tables that say so
(https://github.com/google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs) without any library, so that a starter
can be written anywhere.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgekit.errors import BundleError
from edgekit.tensors import Signature, TensorSpec

_NUMBERED = re.compile(r"(?:args|output)_(\d+)")
#: What a file's main signature is called when it has several: by TensorFlow and litert-torch, and by PyTorch.
_MAIN = ("serving_default", "forward")

# Numbers of fields in their tables.
_MODEL_SUBGRAPHS, _MODEL_SIGNATURES = 2, 7
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS = 0, 1, 2
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_KEY, _SIGNATURE_GRAPH = 0, 1, 2, 4
_ENTRY_NAME, _ENTRY_TENSOR = 0, 1
_TENSOR_SHAPE = 0


def in_file_order(data: bytes, signature: Signature) -> Signature:
    """*signature* with its inputs and outputs in the order of the ``.tflite`` file *data*.

    Raises:
        BundleError: ``EK-BUNDLE``: the file is none, or does not fit the signature.
    """
    try:
        model = _Table.root(data)
        main = _main_signature(list(model.tables(_MODEL_SIGNATURES)))
        graph = next(iter(model.tables(_MODEL_SUBGRAPHS)))
        tensors = list(graph.tables(_GRAPH_TENSORS))
        sides = []
        for specs, of_graph, of_signature in (
            (signature.inputs, _GRAPH_INPUTS, _SIGNATURE_INPUTS),
            (signature.outputs, _GRAPH_OUTPUTS, _SIGNATURE_OUTPUTS),
        ):
            places = graph.integers(of_graph)
            names = {} if main is None else _names(main, of_signature)
            ordered = tuple(places.index(place) for place in _places(specs, places, names))
            sides.append(tuple(spec for _, spec in sorted(zip(ordered, specs, strict=True), key=lambda pair: pair[0])))
            for place, spec in zip(places, sides[-1], strict=True):
                if tuple(tensors[place].integers(_TENSOR_SHAPE)) != spec.shape:
                    raise ValueError(f"{spec.name} has another shape")
    except (struct.error, ValueError, IndexError, StopIteration, UnicodeDecodeError) as error:
        raise BundleError("EK-BUNDLE", f"the .tflite file does not fit the signature ({error})") from error
    return Signature(*sides)


def _places(specs: Sequence[TensorSpec], places: Sequence[int], names: dict[str, int]) -> list[int]:
    """The tensor of each of *specs*, as `edgekit.runtime.engines.interpreter` finds it."""
    if all(spec.name in names for spec in specs):
        return [names[spec.name] for spec in specs]
    if names and all(_NUMBERED.fullmatch(name) for name in names):
        return [names[name] for name in sorted(names, key=lambda name: int(name.rsplit("_", 1)[1]))]
    return [names[name] for name in sorted(names)] if names else list(places)


def _main_signature(signatures: list[_Table]) -> _Table | None:
    if not signatures:
        return None
    keyed = {each.text(_SIGNATURE_KEY): each for each in signatures}
    main = signatures[0] if len(signatures) == 1 else next((keyed[key] for key in _MAIN if key in keyed), None)
    if main is None or main.integer(_SIGNATURE_GRAPH, 0) != 0:
        raise ValueError("its main signature is not the first graph")
    return main


def _names(signature: _Table, side: int) -> dict[str, int]:
    return {entry.text(_ENTRY_NAME): entry.integer(_ENTRY_TENSOR, 0) for entry in signature.tables(side)}


@dataclass(frozen=True)
class _Table:
    """A flatbuffer table: fields are found through its vtable."""

    data: bytes
    start: int

    @classmethod
    def root(cls, data: bytes) -> _Table:
        if data[4:8] != b"TFL3":
            raise ValueError("no TFL3 identifier")
        return cls(data, _unsigned(data, 0))

    def place(self, field: int) -> int | None:
        """Where *field* is; None when the table has it at its default."""
        vtable = self.start - int(struct.unpack_from("<i", self.data, self.start)[0])
        size, offset = struct.unpack_from("<H", self.data, vtable)[0], 4 + 2 * field
        inside = struct.unpack_from("<H", self.data, vtable + offset)[0] if offset < size else 0
        return self.start + inside if inside else None

    def integer(self, field: int, default: int) -> int:
        place = self.place(field)
        return default if place is None else _unsigned(self.data, place)

    def text(self, field: int) -> str:
        start, length = self._vector(field)
        return self.data[start : start + length].decode()

    def integers(self, field: int) -> list[int]:
        start, length = self._vector(field)
        return list(struct.unpack_from(f"<{length}i", self.data, start))

    def tables(self, field: int) -> Iterator[_Table]:
        start, length = self._vector(field)
        for place in range(start, start + 4 * length, 4):
            yield _Table(self.data, place + _unsigned(self.data, place))

    def _vector(self, field: int) -> tuple[int, int]:
        place = self.place(field)
        if place is None:
            return 0, 0
        start = place + _unsigned(self.data, place)
        return start + 4, _unsigned(self.data, start)


def _unsigned(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])
