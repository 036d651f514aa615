"""Graphs in which no operator writes into its arguments."""

from __future__ import annotations

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten
#: What may hand on its argument as it is, without saying so.
_MAYBE_THE_SAME = {_ATEN.dropout.default, _ATEN.feature_dropout.default, _ATEN.alpha_dropout.default}


def functional(program: ExportedProgram) -> GraphModule:
    """The module of *program* with operators that give a new tensor where it has some that change one.

    An activation that works in place on what only it reads, as most do, is exchanged for its twin. Where more than one
    knows of the tensor, torch finds out who sees what; that also takes batch norm apart, and takes time.

    Writes to a buffer that no output needs are left out.
    """
    nodes = list(program.graph.nodes)
    if any((_writes(node) and not _alone(node)) or _is_transform(node) for node in nodes):
        program = program.run_decompositions({})
    graph_module = program.module(check_guards=False)
    for node in list(graph_module.graph.nodes):
        if not _writes(node):
            continue
        written = node.args[0]
        if isinstance(written, Node) and written.op == "get_attr":
            node.replace_all_uses_with(node.args[1])
            graph_module.graph.erase_node(node)
        else:
            node.target = _twin(node)
    graph_module.graph.eliminate_dead_code()
    graph_module.graph.lint()
    graph_module.recompile()
    return graph_module


def _is_transform(node: Node) -> bool:
    """Whether *node* belongs to ``torch.vmap`` or ``torch.func.grad``, of which nothing is left behind their trace."""
    return "functorch" in str(getattr(node.target, "__module__", "")) or "_batch_dim" in str(node.target)


def _writes(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _alone(node: Node) -> bool:
    """Whether nobody but *node* has the tensor that it changes, and there is an operator that gives a new one."""
    written = node.args[0]
    if not isinstance(written, Node) or written.op != "call_function" or len(written.users) > 1 or _twin(node) is None:
        return False
    if not isinstance(written.target, torch._ops.OpOverload) or written.target in _MAYBE_THE_SAME:
        return False
    return _writes(written) or all(result.alias_info is None for result in written.target._schema.returns)


def _twin(node: Node) -> torch._ops.OpOverload | None:
    """The operator that gives what *node* writes: ``relu`` of ``relu_``."""
    name = node.target._schema.name.partition("::")[2]
    packet = getattr(_ATEN, name.removesuffix("_"), None) if name.endswith("_") else None
    overload = node.target._overloadname
    return getattr(packet, overload) if packet is not None and overload in packet.overloads() else None
