"""Functions that exporters spell out, found again: GELU and hard swish, which runtimes have kernels for."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.nn import functional as F

_TOLERANCE = 1e-5
_Number = float | int


def find_idioms(module: GraphModule) -> None:
    """Put one call where each is; *module* is changed."""
    for node in list(module.graph.nodes):
        for function, find in ((F.gelu, _gelu), (F.hardswish, _hard_swish)):
            x = find(node)
            if x is not None:
                with module.graph.inserting_before(node):
                    made = module.graph.call_function(function, (x,))
                made.meta = dict(node.meta)
                node.replace_all_uses_with(made)
                break


def _gelu(node: Node) -> Node | None:
    """x of ``x * (erf(x / 2 ** 0.5) + 1) * 0.5``, in whatever order."""
    for found in _factors(node):
        for at, plus in enumerate(found):
            inner = _by(plus, operator.add, 1.0)
            if inner is None or inner.op != "call_function" or inner.target is not torch.erf:
                continue
            (argument,) = inner.args
            x = _by(argument, operator.truediv, math.sqrt(2)) or _by(argument, operator.mul, math.sqrt(0.5))
            rest = [each for position, each in enumerate(found) if position != at]
            if x is not None and sorted(map(str, rest)) == sorted([str(x), "0.5"]):
                return x
    return None


def _hard_swish(node: Node) -> Node | None:
    """x of ``x * clamp(x + 3, 0, 6) / 6``."""
    product = _by(node, operator.truediv, 6.0) or _by(node, operator.mul, 1 / 6)
    for found in _factors(product, of=2) if product is not None else ():
        for x, clamped in (found, found[::-1]):
            if not isinstance(clamped, Node) or clamped.target is not torch.clamp or len(clamped.args) != 3:
                continue
            if clamped.args[1:] == (0.0, 6.0) and _by(clamped.args[0], operator.add, 3.0) is x:
                return x if isinstance(x, Node) else None
    return None


def _factors(node: Any, of: int = 3) -> list[list[Any]]:
    """The ways in which *node* is a product of *of* factors."""
    if of == 1:
        return [[node]]
    if not isinstance(node, Node) or node.op != "call_function" or node.target is not operator.mul:
        return []
    one, other = node.args
    return [
        [*left, *right]
        for split in range(1, of)
        for left in _factors(one, split)
        for right in _factors(other, of - split)
    ]


def _by(node: Any, function: Any, number: float) -> Node | None:
    """What *function* takes besides *number* in *node*."""
    if not isinstance(node, Node) or node.op != "call_function" or node.target is not function:
        return None
    one, other = node.args
    pairs = [(one, other)] if function is operator.truediv else [(one, other), (other, one)]
    for value, known in pairs:
        if isinstance(value, Node) and isinstance(known, _Number) and math.isclose(known, number, rel_tol=_TOLERANCE):
            return value
    return None
