"""TorchScript modules as source models, of a file or out of a factory: what goes in, and the module they become."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from edgekit.errors import UsageError
from edgekit.pipeline.sources.matching import Parameters
from edgekit.runtime.contents.refusal import Refused
from edgekit.runtime.contents.torchscript import check_operator

_INSTEAD = "write a function that returns a torch.nn.Module around it, and give edgekit build FILE.py:FUNCTION"


def load_script(path: Path, checked: bytes | None) -> torch.jit.ScriptModule:
    """The module in a file that ``torch.jit.save`` wrote; nothing of it has run.

    Args:
        checked: What was checked of the file; None for one that is trusted as it is.

    Raises:
        UsageError: ``EK-SOURCE``: torch does not take it, or it takes more than tensors; ``EK-CONTENTS``: its compiled
            code holds what is not on the list.
    """
    try:
        module = torch.jit.load(path if checked is None else io.BytesIO(checked), map_location="cpu")
        if checked is not None:
            _check_graph(module.inlined_graph)
    except Refused as error:
        message = f"{path.name} is refused: {error}: this {error.does}"
        hint = "where you know who made it, --trust takes it all the same"
        raise UsageError("EK-CONTENTS", message, hint) from error
    except Exception as error:  # torch's compiler raises whatever its parts do
        message = f"{path.name} cannot be loaded: {' '.join(str(error).split())[:150]}"
        hint = f"write it with torch.jit.save() of torch {torch.__version__.partition('+')[0]}"
        raise UsageError("EK-SOURCE", message, hint) from error
    for argument in module.forward.schema.arguments[1:]:
        kind = str(argument.type)
        if not argument.has_default_value() and kind not in ("Tensor", "Optional[Tensor]"):
            message = f"{path.name} takes {argument.name!r}, of type {kind}, and files take tensors alone"
            raise UsageError("EK-SOURCE", message, f"{_INSTEAD}: it can give {argument.name!r} a fixed value")
    return module


def _check_graph(graph: Any) -> None:
    """Raise `Refused` where *graph*, with all that it calls within it, holds an operator that is not on the list."""
    pending = [graph]
    while pending:
        for node in pending.pop().nodes():
            check_operator(node.kind())
            pending += node.blocks()


def script_parameters(module: torch.jit.ScriptModule) -> tuple[Parameters, list[str]]:
    """The parameters of forward(), and their names in order: all can be given by position."""
    arguments = module.forward.schema.arguments[1:]  # the first is the module
    names = [argument.name for argument in arguments]
    return Parameters(tuple(names), tuple(each.name for each in arguments if not each.has_default_value())), names


def exported_script(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], what: str) -> torch.nn.Module:
    """*module*, which is TorchScript or calls some, as one that torch.export takes: the operators that it calls, with
    its branches on shapes taken.

    Values are not known meanwhile, so that what branches on those of its input fails. (torch 2.13's own converter,
    ``TS2EPConverter``, writes ``-1`` for a scale that is None and an index from the end as one below 0, and knows no
    loops.)

    Raises:
        UsageError: ``EK-SOURCE``: it cannot be followed.
    """
    try:
        with torch.no_grad():
            graph = make_fx(module, tracing_mode="fake", pre_dispatch=True, _allow_non_fake_inputs=True)(*inputs)
    except Exception as error:  # the interpreter raises whatever its operators do
        message = f"{what} is TorchScript that torch {torch.__version__.partition('+')[0]} cannot export"
        hint = "give the nn.Module itself, before torch.jit.script or torch.jit.trace; the log says what failed"
        raise UsageError("EK-SOURCE", message, hint) from error
    _name_convolutions(graph)
    _name_weights(graph)
    return graph


def _name_weights(graph: torch.fx.GraphModule) -> None:
    """Make parameters of the floats that *graph* holds.

    torchao 0.18 folds batch norm into weights that are parameters, and fails with those that ``make_fx`` leaves plain:
    "attribute '_tensor_constant0' already exists".
    """
    held: dict[str, str] = {}
    for node in graph.graph.nodes:
        if node.op != "get_attr":
            continue
        if node.target not in held:
            held[node.target] = f"weight_{len(held)}"
            value = getattr(graph, node.target).detach()
            delattr(graph, node.target)
            if value.is_floating_point():
                graph.register_parameter(held[node.target], torch.nn.Parameter(value, requires_grad=False))
            else:
                graph.register_buffer(held[node.target], value)
        node.target = held[node.target]
    graph.recompile()


def _name_convolutions(graph: torch.fx.GraphModule) -> None:
    """Call ``_convolution``, which traced modules have, by its public names: quantizers and backends know no other."""
    aten = torch.ops.aten
    plain = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default)
    transposed = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)
    for node in graph.graph.nodes:
        if node.target not in (aten._convolution.default, aten._convolution.deprecated):
            continue
        tensor, weight, bias, stride, padding, dilation, is_transposed, output_padding, groups = node.args[:9]
        position = len(stride) - 1
        if is_transposed:
            node.target = transposed[position]
            node.args = (tensor, weight, bias, stride, padding, output_padding, groups, dilation)
        else:
            node.target = plain[position]
            node.args = (tensor, weight, bias, stride, padding, dilation, groups)
    graph.recompile()
