"""A graph that is run, and so traced, with other operators than its own."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Interpreter
from torch.fx.node import Target
from torch.utils import _pytree as pytree

from edgekit.pipeline.rewrites.complex_numbers import Complex, name_of, unsupported


class Spelled(torch.nn.Module):
    """Computes what *graph_module* does, by *rules* where there are some."""

    def __init__(self, graph_module: GraphModule, rules: Any):
        super().__init__()
        self.graph_module = graph_module
        self._rules = rules

    def forward(self, *inputs: torch.Tensor) -> Any:
        return _Speller(self.graph_module, self._rules).run(*inputs)


class _Speller(Interpreter):
    def __init__(self, graph_module: GraphModule, rules: Any):
        super().__init__(graph_module)
        self._rules = rules

    def get_attr(self, target: Target, args: Any, kwargs: Any) -> Any:
        found = super().get_attr(target, args, kwargs)
        return Complex.of(found) if isinstance(found, torch.Tensor) and found.is_complex() else found

    def call_function(self, target: Target, args: Any, kwargs: Any) -> Any:
        rule = self._rules.get(target)
        if any(isinstance(value, (Complex, complex)) for value in pytree.tree_leaves((args, kwargs))):
            return Complex.call(target, args, kwargs, rule)
        result = NotImplemented if rule is None else rule(*args, **kwargs)
        if result is NotImplemented:
            result = super().call_function(target, args, kwargs)
        if isinstance(result, torch.Tensor) and result.is_complex():
            if (name := name_of(target)) not in ("to", "_to_copy"):
                raise unsupported(name)
            return Complex.of(args[0])
        return result
