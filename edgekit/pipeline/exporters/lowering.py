"""From an exported graph to the bytes of a ``.pte``, by one of executorch's backends."""

from __future__ import annotations

import torch
from executorch.exir import to_edge_transform_and_lower
from torch.fx import GraphModule

from edgekit.pipeline.exporters import backends
from edgekit.pipeline.work.events import Step, emit


def lower(
    graph_module: GraphModule, examples: tuple[torch.Tensor, ...], backend: str = "xnnpack", *, half: bool = False
) -> bytes:
    """The ``.pte`` of *graph_module*, as much of it as possible delegated to *backend*.

    Args:
        half: Store weights and compute in half precision inside the delegate, between float32 inputs and outputs. For
            XNNPACK, the graph itself has to.
    """
    emit(Step("lowering"))
    program = torch.export.export(graph_module, examples)
    with backends.find(backend).lowering(program, half) as partitioner:
        manager = to_edge_transform_and_lower(program, partitioner=[partitioner])
    buffer: bytes = manager.to_executorch().buffer
    return buffer
