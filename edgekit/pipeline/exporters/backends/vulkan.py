"""Vulkan: ExecuTorch's shaders for Android's GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner
from executorch.backends.vulkan.patterns import fusable_patterns
from executorch.exir.backend.partitioner import Partitioner
from torch.export import ExportedProgram

from edgekit.pipeline import rewrites

RULES = rewrites.COMMON
PRODUCERS: tuple[str, ...] = ()
HALVES_GRAPH = False

#: Patterns of rotary embedding, all of which end in one of `_JOINING`.
ROTARY = ("export_llama_rope", "hf_rope")
_JOINING = ("cat", "stack")


@contextmanager
def lowering(program: ExportedProgram, half: bool) -> Iterator[Partitioner]:
    """The partitioner for *program*.

    With ``force_fp16`` the backend stores and computes in half precision whatever is float32 in the graph, and converts
    inputs and outputs on their way to and from the GPU
    (https://docs.pytorch.org/executorch/stable/backends/vulkan/vulkan-partitioner.html).
    """
    with only_patterns_of(program):
        yield VulkanPartitioner({"force_fp16": True} if half else {})


@contextmanager
def only_patterns_of(program: ExportedProgram) -> Iterator[None]:
    """Look for rotary embeddings only in a program that joins tensors.

    executorch 1.5.1 traces its reference graphs of them twice at every lowering, whatever is lowered. Symptom: half of
    the ten seconds that a small network takes.
    """
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    joins = any(target.split(".")[1:2] == [name] for target in targets for name in _JOINING)
    with ExitStack() as stack:
        for name in () if joins else fusable_patterns.keys() & ROTARY:
            stack.enter_context(patch.object(fusable_patterns[name], "get_graphs_fn", list))
        yield
