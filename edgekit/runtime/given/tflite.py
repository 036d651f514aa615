"""``.tflite``: its signatures, or the tensors of its first subgraph."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.manifest import Quantization
from edgekit.runtime.contents.flatbuffer import Table
from edgekit.runtime.contents.tflite import ON_VARIABLES, TYPES, TfliteModel, main_key, read
from edgekit.runtime.given.interface import FileTensor, Interface, Method, interface
from edgekit.runtime.given.precision import Stored, recipe_of

#: Of a value that an operator computes in whole numbers; sums, which are no such values, have more.
_MOST_BITS = 16


def describe(data: bytes | memoryview) -> Interface:
    """The interface of a ``.tflite`` file. Raises as `edgekit.runtime.contents.check`."""
    found = read(data)
    graphs = found.model["subgraphs"]
    signatures = {entry["signature_key"]: _method(graphs, entry) for entry in found.model["signature_defs"]}
    keys = tuple(signatures)
    if keys:
        main = main_key(keys)
        methods = signatures if len(signatures) > 1 else {}
        first = signatures[main]
    else:
        graph, methods = graphs[0], {}
        first = Method(*(tuple(_tensor(graph, index) for index in graph[side]) for side in ("inputs", "outputs")))
    return interface(
        first,
        methods,
        recipe=recipe_of(_stored(found), _activations(found)),
        is_stateful=bool(found.variables) or not ON_VARIABLES.isdisjoint(found.operators),
        backend="xnnpack",
    )


def _method(graphs: Sequence[Table], signature: Table) -> Method:
    graph = graphs[signature["subgraph_index"]]

    def side(name: str) -> tuple[FileTensor, ...]:
        by_name = {entry["name"]: entry["tensor_index"] for entry in signature[name]}
        return tuple(_tensor(graph, by_name[key], key) for key in sorted(by_name))  # as LiteRT has them

    return Method(side("inputs"), side("outputs"))


def _tensor(graph: Table, index: int, name: str | None = None) -> FileTensor:
    tensor = graph["tensors"][index]
    shape, open_ = list(tensor["shape"]), list(tensor["shape_signature"])
    if len(open_) == len(shape):
        shape = [None if size < 0 else size for size in open_]
    return FileTensor(name or tensor["name"], tuple(shape), TYPES[tensor["type"]][0], _quantization(tensor))


def _quantization(tensor: Table) -> Quantization | None:
    found = tensor["quantization"]
    if found is None or len(found["scale"]) != 1 or not TYPES[tensor["type"]][0].startswith(("int", "uint")):
        return None
    scale, points = float(found["scale"][0]), list(found["zero_point"])
    return Quantization(scale, int(points[0]) if points else 0) if scale > 0 else None


def _stored(found: TfliteModel) -> list[Stored]:
    return [
        Stored(TYPES[tensor["type"]][0], len(found.stored(tensor)))
        for graph in found.model["subgraphs"]
        for tensor in graph["tensors"]
        if len(found.stored(tensor))
    ]


def _activations(found: TfliteModel) -> bool:
    """Whether values are computed as quantized whole numbers."""
    return any(
        _quantization(tensor) is not None and not len(found.stored(tensor))
        for graph in found.model["subgraphs"]
        for node in graph["operators"]
        for tensor in (graph["tensors"][index] for index in node["outputs"])
        if TYPES[tensor["type"]][1] <= _MOST_BITS
    )
