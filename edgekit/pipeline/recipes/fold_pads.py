"""Zero pads that a convolution can do itself, folded into it.

Models ported from TensorFlow pad explicitly before a strided convolution. A pad is a copy of the whole tensor;
a convolution's own padding costs nothing. The pass works on ``torch.export.export(...).module()``, in float,
before anything is quantized. Its result is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.experimental.symbolic_shapes import statically_known_true

from edgekit.pipeline.recipes.nodes import input_of

_ATEN = torch.ops.aten
_PADS = (_ATEN.pad.default, _ATEN.constant_pad_nd.default)
_CONVOLUTIONS = {_ATEN.conv1d.default: 1, _ATEN.conv2d.default: 2}


def zero_pad(node: Node) -> tuple[tuple[int, int], ...] | None:
    """Per spatial dimension, first to last, how many zeros *node* puts before and after; None if it is no such pad.

    Spatial dimensions are all but the first two. A pad with another mode or value, of batch or channels, or with
    negative amounts, is none.
    """
    if node.op != "call_function" or node.target not in _PADS:
        return None
    amounts = list(node.args[1])
    if not all(isinstance(amount, int) for amount in amounts):
        return None  # computed from an open size
    if node.target is _ATEN.pad.default:
        mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
        value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
    else:
        mode, value = "constant", node.args[2] if len(node.args) > 2 else 0
    spatial = input_of(node).meta["val"].dim() - 2
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if mode != "constant" or value not in (None, 0) or min(amounts, default=0) < 0 or spatial < 1:
        return None
    if any(any(pair) for pair in pairs[spatial:]):
        return None
    pairs = (pairs + [(0, 0)] * spatial)[:spatial]
    return tuple(reversed(pairs))


def fold_pads(graph_module: GraphModule) -> int:
    """Fold zero pads into the convolutions that read them, in place.

    A convolution pads both sides alike, so a pad folds when its leading side alone, given to both, yields the same
    number of outputs: every output then reads what it read before. This covers symmetric pads, and uneven ones whose
    trailing zeros beyond the leading amount are never read. Kernels are not extended with zero rows to catch the
    rest: 36 taps leave XNNPACK's 25-tap depthwise kernel and run slower than the pad they save.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of convolutions that no longer read a pad.
    """
    folded = 0
    for node in list(graph_module.graph.nodes):
        pads = zero_pad(node)
        if pads is None:
            continue
        if not any(amount for pair in pads for amount in pair):
            node.replace_all_uses_with(input_of(node))
        for user in list(node.users):
            padding = _folded_padding(graph_module, node, user, pads)
            if padding is not None:
                arguments = arguments_of(user)
                user.args = (input_of(node), *arguments[1:4], padding, *arguments[5:])
                folded += 1
        if not node.users:
            graph_module.graph.erase_node(node)
    graph_module.graph.lint()
    graph_module.recompile()
    return folded


def _folded_padding(
    graph_module: GraphModule, pad: Node, user: Node, pads: Sequence[tuple[int, int]]
) -> list[int] | None:
    """The padding with which *user* can read *pad*'s input, or None."""
    if user.target not in _CONVOLUTIONS or _CONVOLUTIONS[user.target] != len(pads) or user.args[0] is not pad:
        return None
    _, weight, _, stride, own, dilation, _ = arguments_of(user)
    kernel = (
        attrgetter(weight.target)(graph_module).shape[2:] if weight.op == "get_attr" else weight.meta["val"].shape[2:]
    )
    sizes = input_of(pad).meta["val"].shape[2:]
    expected = user.meta["val"].shape[2:]
    padding = [before + own[axis] for axis, (before, _) in enumerate(pads)]
    for axis, size in enumerate(sizes):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        # Of a size that is open, for all that it may be.
        if not statically_known_true((size + 2 * padding[axis] - span) // stride[axis] + 1 == expected[axis]):
            return None
    return padding


def arguments_of(convolution: Node) -> tuple[Any, ...]:
    """All seven arguments of an ``aten.conv1d`` or ``aten.conv2d``, defaults filled in and broadcast."""
    rank = _CONVOLUTIONS[convolution.target]
    given: list[Any] = list(convolution.args)
    arguments = given + [None, [1], [0], [1], 1][len(given) - 2 :]
    for index in (3, 4, 5):
        values = list(arguments[index])
        arguments[index] = values * rank if len(values) == 1 else values
    return tuple(arguments)
