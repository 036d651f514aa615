"""Modules that follow each other, made one: batch norm and biases in convolutions and ``nn.Linear``."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from edgekit.pipeline.sources.onnx_to_torch.idioms import find_idioms

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
_TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
_BATCH_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


def fuse(module: GraphModule) -> GraphModule:
    """The same module with fewer parts; *module* is changed."""
    for node in list(module.graph.nodes):
        if node.op == "call_module" and isinstance(_part(module, node), _BATCH_NORMS):
            _fold_batch_norm(module, node)
        elif node.op == "call_function" and node.target in (operator.add, operator.mul):
            _fold_constant(module, node)
    find_idioms(module)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [*module._parameters, *module._buffers]:
        if name not in used:
            delattr(module, name)
    module.recompile()
    return module


def _part(module: GraphModule, node: Node) -> torch.nn.Module:
    return module.get_submodule(str(node.target))


def _only(module: GraphModule, node: Any, kinds: tuple[type, ...]) -> Any:
    """The part that *node* calls, if nothing else calls it, nothing but one node reads it, and it is of *kinds*."""
    if not isinstance(node, Node) or node.op != "call_module" or len(node.users) != 1:
        return None
    calls = [each for each in module.graph.nodes if each.op == "call_module" and each.target == node.target]
    part = _part(module, node)
    return part if len(calls) == 1 and isinstance(part, kinds) else None


def _fold_batch_norm(module: GraphModule, node: Node) -> None:
    norm: Any = _part(module, node)
    before: Any = node.args[0]
    part = _only(module, before, (*_CONVOLUTIONS, *_TRANSPOSED, torch.nn.Linear))
    if part is None:
        return
    if isinstance(part, torch.nn.Linear):
        if before.meta["rank"] != 2:
            return
        part.weight, part.bias = fuse_linear_bn_weights(
            part.weight, part.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    else:
        if isinstance(part, _TRANSPOSED) and part.groups > 1:
            return
        part.weight, part.bias = fuse_conv_bn_weights(
            part.weight,
            part.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
            transpose=isinstance(part, _TRANSPOSED),
        )
    part.requires_grad_(False)
    node.replace_all_uses_with(before)
    module.graph.erase_node(node)


def _fold_constant(module: GraphModule, node: Node) -> None:
    """What is added to each channel, or multiplies it, becomes a part of the convolution or ``nn.Linear`` before."""
    for before, other in (node.args[:2], node.args[1::-1]):
        part = _only(module, before, (*_CONVOLUTIONS, torch.nn.Linear))
        if part is None:
            continue
        if isinstance(other, float):
            numbers = torch.full([part.weight.shape[0]], other)
            numbers = numbers.reshape(-1, *[1] * (0 if isinstance(part, torch.nn.Linear) else before.meta["rank"] - 2))
        elif isinstance(other, Node) and other.op == "get_attr":
            numbers = getattr(module, str(other.target))
        else:
            continue
        channel = -1 if isinstance(part, torch.nn.Linear) else 1 - before.meta["rank"]
        channels = part.weight.shape[0]
        per_channel = numbers.ndim >= -channel and numbers.shape[channel] == numbers.numel() == channels
        if not per_channel or numbers.ndim > before.meta["rank"] or numbers.dtype != part.weight.dtype:
            continue
        _scale(part, numbers.detach().reshape(-1), node.target is operator.mul)
        node.replace_all_uses_with(before)
        module.graph.erase_node(node)
        return


def _scale(part: Any, numbers: torch.Tensor, multiplies: bool) -> None:
    bias = None if part.bias is None else part.bias.detach()
    if multiplies:
        weight = part.weight.detach() * numbers.reshape(-1, *[1] * (part.weight.ndim - 1))
        part.weight = torch.nn.Parameter(weight, requires_grad=False)
        bias = None if bias is None else bias * numbers
    else:
        bias = numbers.clone() if bias is None else bias + numbers
    part.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)
