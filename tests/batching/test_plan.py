"""Plans: which nodes are computed together, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from edgekit.batching import Node, Plan
from edgekit.batching.lengths import similar
from edgekit.errors import UsageError


def leaf(value: Any) -> Node:
    return Node("leaf", (), value)


def sums(structures: list[Any], **options: Any) -> tuple[Plan, np.ndarray]:
    """The plan, and what it gives where a leaf is its value and all else the sum of its children, computed in numpy."""
    plan = Plan.of(structures, **options)
    parts: list[list[np.ndarray]] = []

    def gathered(route: Any) -> np.ndarray:
        joined = np.concatenate([parts[group][part] for group, part in route.parts])
        return joined if route.order is None else joined[route.order]

    for group in plan.groups:
        inputs = [gathered(route) for route in group.inputs]
        state = sum(inputs) if group.values is None else plan.values[group.operation][group.values] + sum(inputs)
        assert len(state) == group.size
        state = state if group.layout is None else state[group.layout]
        parts.append(np.split(state, np.cumsum(group.parts)[:-1]))
    return plan, gathered(plan.outputs)


def test_nodes_of_the_same_depth_and_operation_are_one_group() -> None:
    trees = [Node("add", (leaf(1), leaf(2))), Node("add", (Node("add", (leaf(3), leaf(4))), leaf(5))), leaf(6)]
    plan, found = sums(trees)
    assert [(group.operation, group.size) for group in plan.groups] == [("leaf", 6), ("add", 2), ("add", 1)]
    assert found.tolist() == [3, 12, 6]
    assert plan.nodes == 9


def test_numbers_of_children_may_differ() -> None:
    trees = [Node("add", tuple(map(leaf, range(count)))) for count in (1, 3, 3, 2)]
    plan, found = sums(trees)
    assert found.tolist() == [0, 3, 3, 1]
    assert [group.size for group in plan.groups if group.operation == "add"] == [1, 1, 2]


def test_a_node_with_several_readers_is_computed_once() -> None:
    shared = Node("add", (leaf(1), leaf(2)))
    plan, found = sums([Node("add", (shared, shared)), Node("add", (leaf(4), shared)), shared])
    assert found.tolist() == [6, 7, 3]
    assert plan.nodes == 6


def test_a_chain_is_as_long_as_it_likes() -> None:
    chain = leaf(1)
    for _ in range(5000):
        chain = Node("add", (chain,))
    plan, found = sums([chain])
    assert found.tolist() == [1]
    assert len(plan.groups) == 5001


def test_graphs_with_short_and_long_ways_to_a_node() -> None:
    """Layers of a lattice: the number of ways doubles with each, the number of nodes does not."""
    layer = [leaf(1), leaf(2)]
    for _ in range(40):
        layer = [Node("add", (layer[0], layer[1])), Node("add", (layer[1], layer[0]))]
    short = Node("add", (layer[0], leaf(5)))
    plan, found = sums([short, layer[1]])
    assert found.tolist() == [3 * 2**39 + 5, 3 * 2**39]
    assert plan.nodes == 2 + 80 + 2


def test_states_of_all_nodes_lie_structure_by_structure_from_the_root_down() -> None:
    trees = [Node("add", (Node("add", (leaf(1), leaf(2))), leaf(3))), leaf(4), Node("add", (leaf(5), leaf(6)))]
    plan, found = sums(trees, outputs="nodes")
    assert [part.tolist() for part in plan.split(found)] == [[6, 3, 3, 1, 2], [4], [11, 5, 6]]


def test_values_lie_in_the_same_order() -> None:
    trees = [Node("add", (Node("add", (leaf(1), leaf(2))), leaf(3))), leaf(4)]
    assert Plan.of(trees).values["leaf"].tolist() == [3, 1, 2, 4]


def test_structures_of_any_kind_are_read() -> None:
    def read(tree: Any) -> tuple[str, Any, Any]:
        return ("leaf", (), tree) if isinstance(tree, int) else ("add", tree, None)

    _, found = sums([((1, 2), (3, (4, 5))), 7, (7, 7)], read=read)
    assert found.tolist() == [15, 7, 14]


def test_inner_nodes_may_have_values_and_values_may_be_arrays() -> None:
    def row(number: float) -> np.ndarray:
        return np.full(3, number, np.float32)

    plan, found = sums([Node("plus", (leaf(row(1)), leaf(row(2))), row(4)), leaf(row(8))])
    assert found.tolist() == [[7, 7, 7], [8, 8, 8]]
    assert found.dtype == np.float32
    assert plan.values["leaf"].shape == (3, 3)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1, "int64"), (1.5, "float32"), (True, "bool"), (np.float64(1.5), "float64"), (np.int32(3), "int32")],
)
def test_the_dtype_of_values(value: Any, dtype: str) -> None:
    assert Plan.of([leaf(value)]).values["leaf"].dtype == dtype


def loop() -> Node:
    below: list[Node] = []
    node = Node("add", below)
    below.append(Node("add", (node,)))
    return node


@pytest.mark.parametrize(
    ("structures", "message"),
    [
        ([], "no structures"),
        ([loop()], "computed from itself"),
        ([3], "a int is no node"),
        ([Node("add", (leaf(1), None))], "a NoneType is no node"),  # type: ignore[arg-type]
        ([leaf(1), Node("leaf")], "some nodes 'leaf' have a value"),
        ([leaf([1, 2]), leaf([1, 2, 3])], "'leaf' are no numbers|differ in shape"),
        ([leaf(np.zeros(2)), leaf(np.zeros(3))], r"differ in shape: \(2,\), \(3,\)"),
        ([leaf("one")], "'leaf' are no numbers"),
    ],
)
def test_what_is_no_structure_is_refused(structures: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Plan.of(structures)


def test_outputs_are_of_roots_or_nodes() -> None:
    with pytest.raises(UsageError, match="leaves"):
        Plan.of([leaf(1)], outputs="leaves")  # type: ignore[arg-type]


def test_similar_lengths_are_grouped() -> None:
    assert similar([3, 9, 8, 3], enough=1) == [[1, 2], [0, 3]]
    assert similar([3, 9, 8, 3], enough=3) == [[1, 2, 0], [3]]
    assert similar([3, 9, 8, 3], padding=0.0) == [[1], [2], [0, 3]]
    assert similar([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_group_pads_no_more_than_it_may(seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 200, 300).tolist()
    groups = similar(lengths)
    assert sorted(index for group in groups for index in group) == list(range(300))
    for group in groups:
        assert all(lengths[index] >= 0.8 * lengths[group[0]] for index in group[32:])


def test_planning_imports_no_torch() -> None:
    code = "import sys; from edgekit.batching import Node, Plan; Plan.of([Node('x')]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
