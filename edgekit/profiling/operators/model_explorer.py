"""Operators as custom node data for Google's Model Explorer, which colours the graph of a model file by time.

The format is that of ``node_data_builder`` in ai-edge-model-explorer 0.1.34: data by the graph's id, then by the node's
id or the name of any of its outputs. Its adapter for ``.tflite`` files ("Flatbuffer") calls the graph ``main`` and has
the names of all tensors. The one for ``.pte`` files (executorch-extension-model-explorer 0.1.1) has a graph for each
method, and ids made of method, chain and instruction.
"""

from __future__ import annotations

from typing import Any

from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import Cell, Operators

_EXECUTORCH, _TFLITE_GRAPH, _PTE_GRAPH = "executorch", "main", "forward"
_GRADIENT = ({"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#d55e00"})


def node_data(profile: Profile) -> dict[str, Any]:
    """The JSON document: microseconds of each node whose operators are known, as far as any are.

    Graphs of one format have one id in all files, and Model Explorer shows the data of that id alone. So where a
    profile has several cells of one format, the first gets the id, and those of the others say which cell they are.
    """
    document: dict[str, Any] = {}
    for cell in profile.cells:
        if cell.operators is None or not (results := _results(cell, cell.operators)):
            continue
        name = f"{profile.bundle(cell).name} {cell.variant} on {cell.engine}, {cell.device}: microseconds"
        graph = _PTE_GRAPH if cell.engine == _EXECUTORCH else _TFLITE_GRAPH
        data = {"name": name, "results": results, "gradient": list(_GRADIENT)}
        document[graph if graph not in document else f"{graph} ({name})"] = data
    return document


def _results(cell: Cell, operators: Operators) -> dict[str, dict[str, float]]:
    """Time by node; all operators of a delegate's call are one node in a ``.pte``."""
    times: dict[str, float] = {}
    for row in operators.operators:
        if row.node is not None:
            key = f"{_PTE_GRAPH}_{row.node}" if cell.engine == _EXECUTORCH else row.node
            times[key] = times.get(key, 0.0) + row.time_us
    return {key: {"value": round(time_us, 3)} for key, time_us in times.items()}
