"""Rewrites: the same computation in operators that a converter knows, made on the exported graph before it converts.

A rule is a function that takes the arguments of one ATen operator and computes the same from others, or returns
`NotImplemented` for arguments that need no help. Each module here has the rules for one kind of operator, and what is
wrong with the stock converters; an exporter says which tables it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.node import Target
from torch.fx.traceback import preserve_node_meta
from torch.utils import _pytree as pytree

from edgekit.pipeline.rewrites import (
    activations,
    arithmetic,
    attention,
    bits,
    branches,
    cumulative,
    embeddings,
    grids,
    lines,
    ordering,
    padding,
    pooling,
    promotion,
    reductions,
    resizing,
    scattering,
    spectrum,
    sums,
    transposed,
    volumes,
)
from edgekit.pipeline.rewrites.broadcasts import drop_expansions
from edgekit.pipeline.rewrites.complex_numbers import Complex, name_of, unsupported
from edgekit.pipeline.rewrites.constants import fold_constants
from edgekit.pipeline.rewrites.exported import DynamicShapes, exported
from edgekit.pipeline.rewrites.functional import functional

#: ATen operator -> the rule for it. A dtype stands for what is computed in it instead.
Rules = Mapping[Any, Callable[..., Any]]

#: Operators that some converter lacks, or computes wrong.
COMMON: Rules = {
    **arithmetic.RULES,
    **bits.COMMON,
    **cumulative.RULES,
    **embeddings.RULES,
    **reductions.RULES,
    **ordering.COMMON,
    **padding.COMMON,
    **resizing.COMMON,
    **scattering.COMMON,
    **pooling.COMMON,
    **spectrum.RULES,
    **activations.COMMON,
    **transposed.COMMON,
    **volumes.rules(),
}
LITERT: Rules = {
    **promotion.LITERT,
    **COMMON,
    **attention.LITERT,
    **bits.LITERT,
    **grids.LITERT,
    **lines.LITERT,
    **ordering.LITERT,
    **padding.LITERT,
    **pooling.LITERT,
    **reductions.LITERT,
    **resizing.RULES,
    **scattering.LITERT,
    **sums.LITERT,
    **transposed.LITERT,
    **volumes.rules(transposed.transposed_plane),
    # litert-torch 0.10.0 computes nothing in double precision ("failed to legalize operation 'tfl.pow'").
    torch.float64: torch.float32,
    torch.ops.aten.float_power.Tensor_Scalar: torch.pow,
    torch.ops.aten.float_power.Tensor_Tensor: torch.pow,
}
XNNPACK: Rules = {**COMMON, **activations.XNNPACK, **reductions.XNNPACK}


def rewrite(
    module: torch.nn.Module,
    examples: tuple[torch.Tensor, ...],
    rules: Rules,
    shapes: DynamicShapes | None = None,
) -> GraphModule:
    """*module* as a graph of ATen operators without those that *rules* spell otherwise.

    What no input reaches is computed now, nothing works in place, and every node still knows the line of the model's
    code that it is from (``meta["stack_trace"]``). ``meta["rewritten"]`` of the result names the operators that are
    spelled otherwise.

    Args:
        examples: One sample.
        shapes: Of each of them the open axes; None where no size is open.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``, from a rule.
    """
    with preserve_node_meta(), torch.no_grad():
        graph_module = functional(exported(module, examples, shapes))
        drop_expansions(graph_module)
        fold_constants(graph_module)
        spelled = _Spelled(graph_module, rules)
        graph_module = exported(spelled, examples, shapes).module(check_guards=False)
        fold_constants(graph_module)
    graph_module.meta["rewritten"] = tuple(sorted(spelled.rewritten))
    return graph_module


class _Spelled(torch.nn.Module):
    """Computes what *graph_module* does, by *rules* where there are some.

    Attributes:
        rewritten: Names of the operators that a rule took.
    """

    def __init__(self, graph_module: GraphModule, rules: Rules):
        super().__init__()
        self.graph_module = graph_module
        self.rewritten: set[str] = set()
        self._rules = rules

    def forward(self, *inputs: torch.Tensor) -> Any:
        return _Speller(self.graph_module, self._rules, self.rewritten).run(*inputs)


class _Speller(Interpreter):
    def __init__(self, graph_module: GraphModule, rules: Rules, rewritten: set[str]):
        super().__init__(graph_module)
        self._rules = rules
        self._rewritten = rewritten
        self._dtypes = {dtype: other for dtype, other in rules.items() if isinstance(dtype, torch.dtype)}
        self._output = next(node for node in graph_module.graph.nodes if node.op == "output")

    def placeholder(self, target: Target, args: Any, kwargs: Any) -> Any:
        return self._instead(super().placeholder(target, args, kwargs))

    def get_attr(self, target: Target, args: Any, kwargs: Any) -> Any:
        found = self._instead(super().get_attr(target, args, kwargs))
        return Complex.of(found) if isinstance(found, torch.Tensor) and found.is_complex() else found

    def call_function(self, target: Target, args: Any, kwargs: Any) -> Any:
        args, kwargs = pytree.tree_map_only(
            torch.dtype, lambda each: self._dtypes.get(each, each), (args, kwargs), is_leaf=_is_dtype
        )
        rule = self._rules.get(target)
        if target is branches.COND:
            condition, *ways, operands = args
            spelled = (_Speller(way, self._rules, self._rewritten).run for way in ways)
            rule, args = branches.choose, (condition, *spelled, operands)
        if any(isinstance(value, (Complex, complex)) for value in pytree.tree_leaves((args, kwargs))):
            self._rewritten.add(f"aten.{name_of(target)}")
            return Complex.call(target, args, kwargs, rule)
        result = NotImplemented if rule is None else rule(*args, **kwargs)
        if result is NotImplemented:
            result = super().call_function(target, args, kwargs)
        else:
            self._rewritten.add(f"aten.{name_of(target)}")
        result = pytree.tree_map(self._instead, result)
        if isinstance(result, torch.Tensor) and result.is_complex():
            if (name := name_of(target)) not in ("to", "_to_copy"):
                raise unsupported(name)
            return Complex.of(args[0])
        return result

    def output(self, target: Target, args: Any, kwargs: Any) -> Any:
        """In the types that the model gives."""
        wanted = pytree.tree_map(_dtype_of, self._output.args[0])
        return pytree.tree_map(_in_dtype, super().output(target, args, kwargs), wanted)

    def _instead(self, value: Any) -> Any:
        """*value*, in the type that stands for its own."""
        if not isinstance(value, torch.Tensor) or value.dtype not in self._dtypes:
            return value
        self._rewritten.add(str(value.dtype).removeprefix("torch."))
        return value.to(self._dtypes[value.dtype])


def _is_dtype(value: Any) -> bool:
    return isinstance(value, torch.dtype)


def _dtype_of(node: Any) -> torch.dtype | None:
    value = node.meta.get("val") if isinstance(node, Node) else None
    return value.dtype if isinstance(value, torch.Tensor) else None


def _in_dtype(value: Any, dtype: torch.dtype | None) -> Any:
    """*value* as *dtype*, where it is that of a tensor."""
    same = dtype is None or not isinstance(value, torch.Tensor) or value.dtype == dtype
    return value if same else value.to(dtype)
