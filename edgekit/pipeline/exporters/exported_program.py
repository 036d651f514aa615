"""PyTorch -> ``.pt2``: the float source program as it is, for eager torch and ``torch.compile`` on a desktop."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.tracing import example_inputs
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.tensors import Signature


def export(*, source: Mapping[str, Any], output: str, batch: int = 1) -> dict[str, Any]:
    """Save a source model as a ``.pt2`` (see `edgekit.pipeline.exporters.Exporter`)."""
    program, _ = float_program(source, batch)
    program.example_inputs = None  # pickled otherwise, and as large as an input
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    Path(output).write_bytes(buffer.getvalue())
    least = ".".join(torch.__version__.split(".")[:2])
    return record(("torch",), dict.fromkeys(("torch", "torch-compile", "torch-cuda", "torch-compile-cuda"), least))


def float_program(source: Mapping[str, Any], batch: int = 1) -> tuple[ExportedProgram, Signature]:
    """The source model as an exported program of *batch* samples per inference, and its signature for as many.

    Nothing in the program tells where on this machine its code was: the same model gives the same file anywhere.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``.
    """
    opened = open_source(SourceSpec.from_json(source))
    emit(Step("exporting"))
    module, signature = opened.torch_module(), opened.signature.batched(batch)
    with torch.no_grad():  # a module's own no_grad() is then no operator of the program
        program = torch.export.export(module, example_inputs(opened, batch))
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta = {"val": node.meta["val"]} if "val" in node.meta else {}
    return program, signature
