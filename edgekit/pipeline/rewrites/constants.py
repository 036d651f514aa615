"""Parts of a graph that no input reaches, computed before the file is made."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from operator import attrgetter
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

_PREFIX = "_constant_"
#: A constant may have so many values more than what it is made of: tables of positions, masks, weights of resizing.
_MOST_VALUES = 1 << 22


def fold_constants(graph_module: GraphModule) -> int:
    """Replace what no input of *graph_module* reaches by its value, in place, and forget tensors that nothing reads.

    Returns:
        The number of tensors that became constants.
    """
    graph, known = graph_module.graph, dict[Node, Any]()
    for node in graph.nodes:
        if node.op == "get_attr":
            known[node] = attrgetter(node.target)(graph_module)
        elif _computes(node) and all(
            isinstance(known.get(each), (torch.Tensor, list, tuple)) for each in node.all_input_nodes
        ):
            args, kwargs = map_arg((node.args, node.kwargs), lambda each: known[each])
            known[node] = node.target(*args, **kwargs)
    folded = 0
    for node in [node for node in known if _becomes_constant(node, known)]:
        with graph.inserting_before(node):
            constant = graph.get_attr(_keep(graph_module, known[node]))
        constant.meta = dict(node.meta)
        for user in [user for user in node.users if user not in known]:
            user.replace_input_with(node, constant)
        folded += 1
    graph.eliminate_dead_code()
    forget_unread(graph_module)
    graph.lint()
    graph_module.recompile()
    return folded


def values_in(graph_module: GraphModule) -> int:
    """How many values are in the tensors that *graph_module* computes with; equal tensors count once."""
    found: dict[tuple[Any, ...], int] = {}
    for name in _read(graph_module):
        tensor = attrgetter(name)(graph_module)
        if isinstance(tensor, torch.Tensor):
            contents = sha256(tensor.detach().contiguous().numpy().tobytes()).digest()
            found[tensor.dtype, tuple(tensor.shape), contents] = tensor.numel()
    return sum(found.values())


def forget_unread(graph_module: GraphModule) -> None:
    """Delete parameters and buffers that no node reads: executorch 1.5.1 stores them all the same."""
    read = set(_read(graph_module))
    named = [
        *graph_module.named_parameters(remove_duplicate=False),
        *graph_module.named_buffers(remove_duplicate=False),
    ]
    for name, _ in named:
        if name not in read:
            owner, _, last = name.rpartition(".")
            delattr(graph_module.get_submodule(owner), last)


def _read(graph_module: GraphModule) -> Iterator[str]:
    yield from dict.fromkeys(str(node.target) for node in graph_module.graph.nodes if node.op == "get_attr")


def _computes(node: Node) -> bool:
    """Whether *node* gives the same at every run."""
    if node.op != "call_function" or not (node.all_input_nodes or isinstance(node.target, torch._ops.OpOverload)):
        return False
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded not in tags or "dropout" in str(node.target)


def _becomes_constant(node: Node, known: dict[Node, Any]) -> bool:
    value = known[node]
    if node.op == "get_attr" or not isinstance(value, torch.Tensor) or all(user in known for user in node.users):
        return False
    sources = [known[each] for each in node.all_input_nodes]
    beneath = sum(each.numel() for each in sources if isinstance(each, torch.Tensor))
    return value.numel() - beneath <= _MOST_VALUES


def _keep(graph_module: GraphModule, value: torch.Tensor) -> str:
    number = 0
    while hasattr(graph_module, f"{_PREFIX}{number}"):
        number += 1
    kept = value.detach().clone(memory_format=torch.contiguous_format)
    # torchao 0.18.0 puts the weight of a convolution with a norm behind it in the place of a parameter. Symptom, with a
    # buffer there: "KeyError: attribute '_constant_0' already exists".
    graph_module.register_parameter(f"{_PREFIX}{number}", torch.nn.Parameter(kept, requires_grad=False))
    return f"{_PREFIX}{number}"
