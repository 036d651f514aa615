"""PyTorch -> ``.pte`` for ExecuTorch, lowered to XNNPACK, Vulkan or Core ML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from executorch.exir import to_edge_transform_and_lower
from executorch.exir.dialects._ops import ops as edge_operators
from torch.fx import GraphModule
from torch.fx.node import map_aggregate
from torch.fx.passes.infra.pass_base import PassResult
from torch.utils import _pytree as pytree
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import Quantizer

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters import backends
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.open_sizes import FIXED, OpenSizes, restore_bounds
from edgekit.pipeline.exporters.symptoms import explaining
from edgekit.pipeline.exporters.tracing import calibration_tensors, example_inputs, observe, traced
from edgekit.pipeline.recipes.fold_norms import fold_norms
from edgekit.pipeline.recipes.fold_pads import fold_pads
from edgekit.pipeline.recipes.open_shapes import rewrite_open_shapes
from edgekit.pipeline.recipes.pooling import rewrite_pools
from edgekit.pipeline.recipes.xnnpack import StaticQuantizer, dynamic_quantizer, each_its_own
from edgekit.pipeline.rewrites.constants import values_in
from edgekit.pipeline.rewrites.exported import DynamicShapes, exported
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.recipes import RECIPES, Recipe
from edgekit.runtime.contents import pte
from edgekit.runtime.engines.executorch import ENGINE
from edgekit.tensors import TensorSpec

#: The method that runs when none is named.
_MAIN = "forward"
_DEQUANTIZE = edge_operators.edge.quantized_decomposed.dequantize_per_tensor.default


@dataclass(frozen=True)
class _Graph:
    """A method to be: a graph, and what it is traced with.

    Attributes:
        sizes: Those that are open.
        inputs: At their largest.
    """

    module: GraphModule
    examples: tuple[torch.Tensor, ...]
    sizes: OpenSizes = FIXED
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def shapes(self) -> DynamicShapes | None:
        return self.sizes.shapes(self.inputs)


def export(
    *,
    source: Mapping[str, Any],
    recipe: str,
    calibration: str | None,
    output: str,
    backend: str = "xnnpack",
    buckets: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Export a source model as a ``.pte`` with float32 input and output (see `edgekit.pipeline.exporters.Exporter`)."""
    used, lowering = RECIPES[recipe], backends.find(backend)
    main, held, rewritten = _graph(source, 1, used, calibration, lowering)
    methods = {_MAIN: main}
    for bucket in buckets:
        emit(Step(f"exporting {bucket['name']}"))
        sizes = OpenSizes.from_json(bucket.get("open", {}))
        methods[bucket["name"]], *_ = _graph(bucket["source"], bucket["batch"], used, calibration, lowering, sizes)

    def lowered(part: GraphModule) -> bytes:
        buffer = lower(part, main.examples, backend, half=used.is_half)
        pte.read(buffer)  # the runtime may lack an operator that the converter has
        return buffer

    with explaining(main.module, lowered, "ExecuTorch"):
        try:
            buffer = lower_methods(methods, backend, half=used.is_half)
            program = pte.read(buffer).program
        except Exception as error:
            opened = [graph for graph in methods.values() if graph.sizes.any]
            if not opened:
                raise
            lowered(main.module)  # raises where the open sizes are not to blame
            raise _not_lowered(opened[0], error) from error
    for plan in program["execution_plan"]:
        graph = methods[plan["name"]]
        graph.sizes.check(plan, graph.inputs)
    Path(output).write_bytes(buffer)
    made_by = ("torch", "executorch", *lowering.PRODUCERS)
    return record(made_by, {ENGINE.name: "1.5"}, values=held, rewritten=rewritten)


def _not_lowered(graph: _Graph, error: Exception) -> ConversionError:
    """What *error* means, of lowering *graph*."""
    try:
        program = exported(graph.module, graph.examples, graph.shapes)
    except Exception:  # then *error* is of this, and says so
        program = None
    return graph.sizes.not_lowered(error, graph.inputs, program)


def _graph(
    source: Mapping[str, Any],
    batch: int,
    used: Recipe,
    calibration: str | None,
    lowering: Any,
    sizes: OpenSizes = FIXED,
) -> tuple[_Graph, int, Any]:
    """The graph of *source* for *batch* samples, how many distinct values it computes with, and what was rewritten.

    Args:
        sizes: Which of the sizes are open; up to *batch* samples, if that is one.
    """
    opened = open_source(SourceSpec.from_json(source))
    largest = opened.signature.batched(batch).inputs
    batch = sizes.traced_batch(batch)
    examples = sizes.cut(example_inputs(opened, batch), largest)
    graph_module = traced(opened, examples, lowering.RULES, sizes)
    held, rewritten = values_in(graph_module), graph_module.meta["rewritten"]
    if used.is_half and lowering.HALVES_GRAPH:
        graph_module = exported(HalfInside(graph_module), examples, sizes.shapes(largest)).module(check_guards=False)
    fold_norms(graph_module)
    fold_pads(graph_module)
    rewrite_pools(graph_module)
    rewrite_open_shapes(graph_module)
    if used.is_static:
        samples = calibration_tensors(calibration, used.name, opened.signature.batched(batch))
        graph_module = quantize(graph_module, StaticQuantizer(used), samples)
    elif used.is_dynamic:
        graph_module = quantize(graph_module, dynamic_quantizer(used), [examples])
    return _Graph(graph_module, examples, sizes, largest), held, rewritten


def lower(
    graph_module: GraphModule, examples: tuple[torch.Tensor, ...], backend: str = "xnnpack", *, half: bool = False
) -> bytes:
    """The ``.pte`` of *graph_module* as its only method (see `lower_methods`)."""
    return lower_methods({_MAIN: _Graph(graph_module, examples)}, backend, half=half)


def lower_methods(methods: Mapping[str, _Graph], backend: str = "xnnpack", *, half: bool = False) -> bytes:
    """The ``.pte`` with *methods* by name, delegated to *backend* as far as possible; equal weights are stored once.

    Args:
        half: Store weights and compute in half precision inside the delegate, between float32 inputs and outputs. For
            XNNPACK, the graph itself has to.
    """
    emit(Step("lowering"))
    programs = {name: exported(graph.module, graph.examples, graph.shapes) for name, graph in methods.items()}
    with ExitStack() as stack:
        lowering = backends.find(backend).lowering
        partitioners = {name: [stack.enter_context(lowering(program, half))] for name, program in programs.items()}
        manager = to_edge_transform_and_lower(programs, transform_passes=[own_dequantizers], partitioner=partitioners)
    for name, graph in methods.items():
        if graph.shapes is not None:
            restore_bounds(manager.exported_program(name), graph.shapes)
    buffer: bytes = manager.to_executorch().buffer
    return buffer


def quantize(
    graph_module: GraphModule, quantizer: Quantizer, samples: Iterable[tuple[torch.Tensor, ...]]
) -> GraphModule:
    """*graph_module* with quantize and dequantize operators where *quantizer* wants them, calibrated on *samples*."""
    emit(Step("calibrating"))
    prepared = prepare_pt2e(graph_module, quantizer)
    observe(prepared, samples)
    return convert_pt2e(prepared)


def own_dequantizers(graph_module: GraphModule) -> PassResult:
    """*graph_module* with a dequantize operator for each reader of one.

    executorch 1.5.1 lays the values of one out anew for a reader that wants them so, and gives them to all others, too.
    Symptom: behind a convolution in int8, softplus() and logsigmoid() fail at the first execution ("Attempted to resize
    a static tensor") or are not lowered ("ChannelsLastTaggedReshapePass").
    """
    for node in list(graph_module.graph.nodes):
        if node.target is _DEQUANTIZE:
            each_its_own(graph_module, node)
    graph_module.recompile()
    return PassResult(graph_module, True)


class HalfInside(torch.nn.Module):
    """An exported module that computes in half precision between float32 inputs and outputs.

    What converts to float32 in it, as a model does that takes bytes, converts to half precision too.
    """

    def __init__(self, module: GraphModule):
        super().__init__()
        for node in module.graph.nodes:
            node.args, node.kwargs = (map_aggregate(given, _halved) for given in (node.args, node.kwargs))
        module.recompile()
        self.module = module.half()

    def forward(self, *inputs: torch.Tensor) -> Any:
        halves = [tensor.half() if tensor.is_floating_point() else tensor for tensor in inputs]
        return pytree.tree_map(
            lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, self.module(*halves)
        )


def _halved(argument: Any) -> Any:
    return torch.float16 if argument is torch.float32 else argument
