"""Plans in PyTorch: the same outputs and gradients as one node at a time."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from support.tree_lstm import Pair, Word, alone, random_tree
from torch import nn

from edgekit.batching import Batched, Node, Plan
from edgekit.errors import UsageError


@pytest.fixture(scope="module")
def trees() -> list[Node]:
    chance = random.Random(0)
    return [random_tree(chance, chance.randint(1, 30)) for _ in range(40)]


@pytest.fixture
def net() -> Batched:
    torch.manual_seed(0)
    return Batched({"word": Word(16), "pair": Pair(16)})


def test_outputs_and_gradients_are_those_of_one_tree_at_a_time(trees: list[Node], net: Batched) -> None:
    weights = torch.randn(len(trees), 16)
    single = copy.deepcopy(net)
    expected = torch.cat([alone(single, tree)[0] for tree in trees])
    (expected * weights).sum().backward()
    found, memory = net(Plan.of(trees))
    (found * weights).sum().backward()
    assert found.shape == memory.shape == (len(trees), 16)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for own, other in zip(net.parameters(), single.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=1e-5)


def test_a_plan_serves_again_with_other_values(trees: list[Node], net: Batched) -> None:
    plan = Plan.of(trees)
    before, _ = net(plan)
    words = torch.from_numpy(plan.values["word"])
    again, _ = net(plan, {"word": words})
    torch.testing.assert_close(again, before, rtol=0, atol=0)
    other, _ = net(plan, {"word": (words + 1) % 1000})
    assert (other - before).abs().max() > 0.01


def test_values_may_have_gradients() -> None:
    net = Batched({"leaf": nn.Identity(), "add": lambda left, right: left + 2 * right})
    plan = Plan.of([Node("add", (Node("leaf", (), 0.0), Node("leaf", (), 0.0))), Node("leaf", (), 0.0)])
    values = torch.tensor([3.0, 5.0, 7.0], requires_grad=True)
    net(plan, {"leaf": values}).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 1]


def test_states_of_all_nodes(trees: list[Node], net: Batched) -> None:
    plan = Plan.of(trees, outputs="nodes")
    found = plan.split(net(plan)[0])
    for tree, states in zip(trees, found, strict=True):
        torch.testing.assert_close(states[:1], alone(net, tree)[0], rtol=0, atol=1e-5)
        nodes = [tree]
        for node in nodes:
            nodes.extend(node.children)
        assert len(states) == len(nodes)
        expected = torch.cat([alone(net, node)[0] for node in nodes])
        torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)


def test_a_graph_with_shared_nodes_counts_them_for_each_reader() -> None:
    """The gradient of a Fibonacci lattice is a Fibonacci number."""
    previous, node = Node("leaf", (), 0.0), Node("leaf", (), 0.0)
    for _ in range(20):
        previous, node = node, Node("add", (node, previous))
    net, plan = Batched({"leaf": nn.Identity(), "add": torch.add}), Plan.of([node])
    values = torch.ones(2, dtype=torch.float64, requires_grad=True)
    result = net(plan, {"leaf": values})
    result.backward()
    assert result.item() == 17711
    assert values.grad is not None
    assert sorted(values.grad.tolist()) == [6765, 10946]


def test_gradients_of_gradients_are_right() -> None:
    net = Batched({"leaf": lambda x: x, "times": torch.mul})
    leaves = [Node("leaf", (), 0.0) for _ in range(3)]
    plan = Plan.of(
        [Node("times", (Node("times", (leaves[0], leaves[1])), leaves[2])), Node("times", (leaves[1], leaves[1]))]
    )
    values = torch.tensor([1.5, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda given: net(plan, {"leaf": given}), (values,))


def test_operations_may_give_states_of_different_shape() -> None:
    net = Batched(
        {
            "size": lambda value: value[:, None].float(),
            "vector": lambda value: value[:, None].float().expand(-1, 4),
            "scale": lambda vector, size: vector * size,
        }
    )
    trees = [Node("scale", (Node("scale", (Node("vector", (), 2), Node("size", (), 3))), Node("size", (), 5)))]
    assert net(Plan.of(trees)).tolist() == [[30.0] * 4]


def test_one_module_may_serve_two_operations_and_is_saved_once() -> None:
    linear = nn.Linear(2, 2)
    net = Batched({"left": linear, "right": linear, "leaf": nn.Identity(), "sum": torch.add})
    assert len(list(net.parameters())) == 2
    point = Node("leaf", (), np.ones(2, np.float32))
    found = net(Plan.of([Node("sum", (Node("left", (point,)), Node("right", (point,))))]))
    torch.testing.assert_close(found, 2 * linear(torch.ones(1, 2)))


@pytest.mark.parametrize("name", ["a.b", "keys", "float", "+", ""])
def test_an_operation_may_have_any_name(name: str) -> None:
    net = Batched({name: nn.Identity()})
    assert net(Plan.of([Node(name, (), 2)])).tolist() == [2]
    assert Batched({name: nn.Linear(1, 1)}).state_dict().keys() == {"cells.0.weight", "cells.0.bias"}


def test_it_is_saved_and_copied_as_any_module(trees: list[Node], net: Batched) -> None:
    other = Batched({"word": Word(16), "pair": Pair(16)})
    other.load_state_dict(net.state_dict())
    plan = Plan.of(trees)
    torch.testing.assert_close(other(plan)[0], net(plan)[0], rtol=0, atol=0)
    double = copy.deepcopy(net).double()
    assert double(plan)[0].dtype == torch.float64
    assert net(plan)[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"word": lambda value: value}, "no cell for 'pair'"),
        ({"word": lambda value: value, "pair": lambda left, right: (left + right)[:1]}, r"'pair' gave \[1\] for"),
        ({"word": lambda value: value, "pair": lambda left, right: (left + right).sum()}, r"'pair' gave \[\] for"),
        ({"word": lambda value: [value], "pair": torch.add}, "'word' gave a list"),
        (
            {"word": lambda v: v[:, None].expand(-1, 3), "pair": lambda a, b: a[:, :2]},
            r"'pair' differ: \[2\] and \[3\]",
        ),
        ({"word": lambda v: (v, v), "pair": lambda a, b: a[0]}, r"differ: \(\[\], \[\]\) and \[\]"),
        ({"word": lambda v: v, "pair": lambda a, b: (a, b) if a.ndim else a}, r"differ"),
    ],
)
def test_cells_that_do_not_fit_are_named(trees: list[Node], cells: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Batched(cells)(Plan.of(trees))


def test_values_that_do_not_fit_are_named(trees: list[Node], net: Batched) -> None:
    plan = Plan.of(trees)
    with pytest.raises(UsageError, match="'word' have 3 rows"):
        net(plan, {"word": torch.zeros(3, dtype=torch.long)})
    with pytest.raises(UsageError, match="no values of 'pair'"):
        net(plan, {"pair": torch.zeros(3)})
