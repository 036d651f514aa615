"""What will become of a PyTorch model's operators in a file, found out without making the file that is shipped."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from executorch.backends.xnnpack.xnnpack_preprocess import XnnpackBackend
from executorch.exir import to_edge_transform_and_lower
from executorch.exir.backend.backend_details import PreprocessResult
from torch.fx import GraphModule, Node

from edgekit.pipeline.exporters import backends, where
from edgekit.pipeline.exporters.executorch import own_dequantizers
from edgekit.pipeline.exporters.recurrence import steps_in
from edgekit.pipeline.exporters.symptoms import explaining, named
from edgekit.pipeline.exporters.tracing import example_inputs, traced
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.rewrites import LITERT
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.answers import Forecast, Outside

#: Layers that are named for one operator.
_MOST_LAYERS = 8


def litert(*, source: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """What LiteRT hands to XNNPACK: of a float ``.tflite`` that is made, looked at and thrown away; a task.

    Args:
        source: An `edgekit.pipeline.sources.SourceSpec`, as JSON.
        backend: Is not looked at: a ``.tflite`` is the same for all.

    Returns:
        An `edgekit.pipeline.work.answers.Forecast`, as JSON.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: what will be refused, and why.
    """
    from edgekit.pipeline.exporters.litert import convert

    opened = open_source(SourceSpec.from_json(source))
    graph_module = traced(opened, example_inputs(opened), LITERT)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        convert(source=source, output=str(path))
        facts = inspect_file(path, "tflite")
    outside = []
    for name, count in facts.undelegated_ops.items():
        node = named(graph_module, name.removesuffix("_V2"))
        nodes = [] if node is None else [each for each in _operators(graph_module) if each.target is node.target]
        outside.append(_outside(name, count, nodes))
    inside = sum(facts.operators.values()) - sum(facts.undelegated_ops.values())
    return _forecast(inside, outside, graph_module)


def executorch(*, source: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """What *backend*'s partitioner takes; a task as `litert` is."""
    lowering = backends.find(backend)
    opened = open_source(SourceSpec.from_json(source))
    examples = example_inputs(opened)
    graph_module = traced(opened, examples, lowering.RULES)

    def partitioned(part: GraphModule) -> Any:
        program = torch.export.export(part, examples)
        with lowering.lowering(program, False) as partitioner, _nothing_written():
            return to_edge_transform_and_lower(program, transform_passes=[own_dequantizers], partitioner=[partitioner])

    with explaining(graph_module, partitioned, "ExecuTorch"):
        lowered = partitioned(graph_module).exported_program().graph_module
    inside = sum(len(list(_operators(part.original_module.graph_module))) for part in _delegates(lowered))
    found: dict[str, list[Node]] = {}
    for node in _operators(lowered):
        if "executorch_call_delegate" not in str(node.target):
            found.setdefault(_plain(where.operator(node)), []).append(node)
    outside = [_outside(name, len(nodes), nodes) for name, nodes in found.items()]
    return _forecast(inside, outside, graph_module)


@contextmanager
def _nothing_written() -> Iterator[None]:
    """Leave out what takes longest: to write what a delegate holds."""
    with patch.object(XnnpackBackend, "preprocess", staticmethod(lambda *_: PreprocessResult(b""))):
        yield


def _delegates(graph_module: GraphModule) -> Iterator[Any]:
    for part in graph_module.children():
        if hasattr(part, "original_module"):
            yield part


def _operators(graph_module: GraphModule) -> Iterator[Node]:
    for node in graph_module.graph.nodes:
        if node.op == "call_function" and node.target is not operator.getitem:
            yield node


def _plain(name: str) -> str:
    """``aten.view_copy`` without what executorch adds to names."""
    return name.replace("executorch_exir_dialects_edge__ops_", "").replace("__", ".").removesuffix("_default")


def _outside(name: str, count: int, nodes: Iterable[Node]) -> Outside:
    known = list(nodes)
    layers = tuple(dict.fromkeys(filter(None, map(where.layer, known))))[:_MOST_LAYERS]
    return Outside(name, count, layers, next(filter(None, map(where.line, known)), ""))


def _forecast(inside: int, outside: list[Outside], graph_module: GraphModule) -> dict[str, Any]:
    ordered = sorted(outside, key=lambda each: -each.count)
    return asdict(Forecast(inside, tuple(ordered), graph_module.meta["rewritten"], steps_in(graph_module)))
