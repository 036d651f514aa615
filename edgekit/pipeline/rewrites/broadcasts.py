"""Expansions that the next operator makes by itself.

litert-torch 0.10.0 loses an axis where one is multiplied with what a convolution gives ("'tfl.mul' op operands don't
have broadcast-compatible shapes"; other values where height, width and channels are alike). Symptom: normalize() of a
feature map, ``x * gate.expand_as(x)``. executorch 1.5.1 makes a copy outside of the delegate.
"""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten
_EXPANSIONS = {_ATEN.expand.default, _ATEN.expand_as.default, _ATEN.broadcast_to.default}
_BROADCASTING = {
    *(getattr(_ATEN, name).Tensor for name in ("add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge")),
    _ATEN.maximum.default,
    _ATEN.minimum.default,
    _ATEN.where.self,
}


def drop_expansions(graph_module: GraphModule) -> None:
    """Hand what is expanded to operators that broadcast it to the same shape, in place."""
    for node in list(graph_module.graph.nodes):
        if node.target in _EXPANSIONS:
            for user in list(node.users):
                if user.target in _BROADCASTING and _alike(user, node):
                    user.replace_input_with(node, node.args[0])
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()


def _alike(user: Node, node: Node) -> bool:
    """Whether *user* gives the same without *node*."""
    if _shape(node.args[0]) in (None, ()):  # numbers without axes count less in what type comes out
        return False
    shapes = [_shape(node.args[0] if each is node else each) for each in user.args]
    return bool(torch.broadcast_shapes(*(each for each in shapes if each is not None)) == _shape(user))


def _shape(value: object) -> torch.Size | None:
    found = value.meta.get("val") if isinstance(value, Node) else None
    return found.shape if isinstance(found, torch.Tensor) else None
