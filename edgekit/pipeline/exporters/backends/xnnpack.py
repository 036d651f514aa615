"""XNNPACK: ExecuTorch's kernels for CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from executorch.backends.xnnpack._passes.channels_last_tagged_reshape_pass import ChannelsLastTaggedReshapePass
from executorch.backends.xnnpack.operators import node_visitor
from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir.backend.partitioner import Partitioner
from executorch.exir.dialects._ops import ops as edge_operators
from torch.export import ExportedProgram

from edgekit.pipeline import rewrites

RULES = rewrites.XNNPACK
PRODUCERS = ("torchao",)
HALVES_GRAPH = True

_CONVOLUTION = "aten.convolution.default"


@contextmanager
def lowering(program: ExportedProgram, half: bool) -> Iterator[Partitioner]:
    """The partitioner for *program*, which computes in half precision by itself where it shall: *half* adds nothing."""
    with half_constants(), softmax_of_rows(), only_patterns_of(program):
        yield XnnpackPartitioner()


@contextmanager
def half_constants() -> Iterator[None]:
    """Store half-precision weights and biases of convolutions as such.

    executorch 1.5.1 stores them as float32 whatever they are, which XNNPACK then converts while it packs them.
    Symptom: EfficientNet-Lite0 in fp16 has 16.0 MB instead of 9.3 MB. XNNPACK takes half-precision weights just as
    well, with the same outputs, so the flag that forces float32 is withheld from the serializer; but not in transposed
    convolutions ("Failed to create deconvolution node with code: xnn_status_invalid_parameter").
    """
    visitors = node_visitor._node_visitor_dict
    stock = visitors[_CONVOLUTION]

    class HalfConvolution(stock):  # type: ignore[valid-type, misc]
        def define_node(self, node: torch.fx.Node, *arguments: Any) -> None:
            self._transposed = bool(node.args[6])
            super().define_node(node, *arguments)

        def define_tensor(self, tensor: torch.fx.Node, *arguments: Any, **options: Any) -> None:
            if tensor.meta["val"].dtype == torch.float16 and not self._transposed:
                options.pop("force_fp32", None)
            super().define_tensor(tensor, *arguments, **options)

    with patch.dict(visitors, {_CONVOLUTION: HalfConvolution}):
        yield


@contextmanager
def softmax_of_rows() -> Iterator[None]:
    """Give softmax the last axis that PyTorch has.

    executorch 1.5.1 hands it what a convolution made with channels last, and XNNPACK computes along those. Symptom:
    softmax(-1) of a feature map is that of its channels.
    """
    kept = ChannelsLastTaggedReshapePass.memory_sensitive_ops_nchw | {edge_operators.edge.aten._softmax.default}
    with patch.object(ChannelsLastTaggedReshapePass, "memory_sensitive_ops_nchw", kept):
        yield


@contextmanager
def only_patterns_of(program: ExportedProgram) -> Iterator[None]:
    """Look for attention and bilinear resizing only where a softmax or a resize is.

    executorch 1.5.1 traces its reference graphs of both at the first lowering in a process, whatever is lowered.
    Symptom: 5 of the 11 CPU seconds that a small network takes.
    """
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    attends = any("softmax" in target or "scaled_dot_product" in target for target in targets)
    resizes = any("upsample" in target or "interpolate" in target for target in targets)
    attention, resizing = sdpa.get_graphs if attends else list, bilinear_2d.get_graphs_dict if resizes else dict
    with patch.object(sdpa, "get_graphs", attention), patch.object(bilinear_2d, "get_graphs_dict", resizing):
        yield
