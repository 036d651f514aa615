"""Rewrites: the same computation in operators that a converter knows, made on the exported graph before it converts.

A rule is a function that takes the arguments of one ATen operator and computes the same from others, or returns
`NotImplemented` for arguments that need no help. Each module here has the rules for one kind of operator, and what is
wrong with the stock converters; an exporter says which tables it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx.traceback import preserve_node_meta

from edgekit.pipeline.rewrites.constants import fold_constants
from edgekit.pipeline.rewrites.functional import functional
from edgekit.pipeline.rewrites.spelling import Spelled

#: ATen operator -> the rule for it.
Rules = Mapping[Any, Callable[..., Any]]


def rewrite(module: torch.nn.Module, examples: tuple[torch.Tensor, ...], rules: Rules) -> GraphModule:
    """*module* as a graph of ATen operators without those that *rules* spell otherwise.

    What no input reaches is computed now, nothing works in place, and every node still knows the line of the model's
    code that it is from (``meta["stack_trace"]``).

    Args:
        examples: One sample.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``, from a rule.
    """
    with preserve_node_meta(), torch.no_grad():
        graph_module = functional(torch.export.export(module, examples))
        fold_constants(graph_module)
        graph_module = torch.export.export(Spelled(graph_module, rules), examples).module(check_guards=False)
        fold_constants(graph_module)
    return graph_module
