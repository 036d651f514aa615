"""A plan: which nodes of many trees or graphs are computed together, and where their inputs come from.

TensorFlow Fold's dynamic batching (M. Looks et al., "Deep Learning with Dynamic Computation Graphs", ICLR 2017): nodes
at the same depth that do the same are one call. A plan is made of structure alone, so that it serves as often as the
structures are evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import NoneType
from typing import Any, Literal

import numpy as np

from edgekit.batching.listing import Listing, Reader, list_nodes
from edgekit.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of a tree or of a graph without cycles; several nodes may have the same child.

    Attributes:
        operation: Name of the cell that computes it.
        children: What it is computed from, in the order in which the cell takes them.
        value: What the cell takes besides: a number or an array, of one shape for all nodes of an operation; or None.
    """

    operation: str
    children: Sequence[Node] = ()
    value: Any = None


@dataclass(frozen=True)
class Route:
    """Where a batch of states comes from.

    Attributes:
        parts: What it is joined from: index of a group, and which of its parts.
        order: The row of the joined parts for each row of the batch; None where that is the order they are in.
    """

    parts: tuple[tuple[int, int], ...]
    order: np.ndarray | None


@dataclass(frozen=True)
class Group:
    """Nodes that are computed in one call.

    Attributes:
        operation: Name of the cell.
        size: How many nodes.
        values: For each node, the row of its value among those of the operation; None where that has no values.
        inputs: Of each child.
        layout: The row of the result for each row of what is parted; None where that is the result itself.
        parts: How many rows each part has, one part for each reader.
    """

    operation: str
    size: int
    values: np.ndarray | None
    inputs: tuple[Route, ...]
    layout: np.ndarray | None
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How a list of structures is computed, group after group.

    Attributes:
        groups: In the order of computation.
        outputs: Where the states come from that are given back.
        counts: How many of those each structure has.
        values: By operation, the values of its nodes, structure after structure, each node before its children.
        nodes: How many nodes there are in all.
    """

    groups: tuple[Group, ...]
    outputs: Route
    counts: tuple[int, ...]
    values: dict[str, np.ndarray]
    nodes: int

    @classmethod
    def of(
        cls, structures: Iterable[Any], *, read: Reader | None = None, outputs: Literal["roots", "nodes"] = "roots"
    ) -> Plan:
        """The plan for *structures*, each one given by its root.

        Args:
            structures: Roots: of `Node`, or of any kind that *read* can read.
            read: Gives operation, children and value of a node of another kind.
            outputs: Which states are wanted: those of the roots, one for each structure; or those of all nodes, of each
                structure a node before its children, as they stand. A node that several structures share is listed
                with the first alone.

        Raises:
            UsageError: ``EK-INPUT``: there is no structure, one contains itself, or the values of an operation differ
                in shape.
        """
        if outputs not in ("roots", "nodes"):
            raise UsageError("EK-ARGUMENT", f"outputs is {outputs!r}", 'it is "roots" or "nodes"')
        listed = list_nodes(list(structures), read)
        count = len(listed.roots)
        if not count:
            raise UsageError("EK-INPUT", "there are no structures to plan", "give at least one root")
        if outputs == "roots":
            return _planned(listed, listed.roots, (1,) * count)
        order = np.argsort(listed.structure, kind="stable")
        return _planned(listed, order, tuple(np.bincount(listed.structure, minlength=count).tolist()))

    def split(self, states: Any) -> list[Any]:
        """*states* of all nodes (an array or tensor, rows first), for each structure."""
        ends = np.cumsum(self.counts).tolist()
        return [states[end - count : end] for end, count in zip(ends, self.counts, strict=True)]


def _planned(listed: Listing, wanted: np.ndarray, counts: tuple[int, ...]) -> Plan:
    values, rows = _values(listed)
    # Groups in the order of depth, then of operation and number of children.
    most = int(listed.arity.max()) + 1
    kind = (listed.depth * len(listed.names) + listed.operation) * most + listed.arity
    _, of_node = np.unique(kind, return_inverse=True)
    sizes = np.bincount(of_node).tolist()
    demands: list[list[np.ndarray]] = [[] for _ in sizes]

    def route(nodes: np.ndarray) -> Route:
        """Ask the groups of *nodes* for a part each."""
        asked = of_node[nodes]
        order = asked.argsort(kind="stable")
        nodes, asked = nodes[order], asked[order]
        borders = [0, *((asked[1:] != asked[:-1]).nonzero()[0] + 1).tolist(), len(nodes)]
        parts = []
        for begin, end in pairwise(borders):
            group = int(asked[begin])
            parts.append((group, len(demands[group])))
            demands[group].append(nodes[begin:end])
        if len(parts) == 1:
            return Route(tuple(parts), None)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Route(tuple(parts), back)

    outputs = route(wanted)
    groups: list[Group] = []
    # Readers first: the rows of a group lie as its readers want them, so that most parts are slices.
    for number in reversed(range(len(sizes))):
        order, layout = np.concatenate(demands[number]), None
        if len(order) > sizes[number]:
            order, layout = np.unique(order, return_inverse=True)
        node = order[0]
        operation, begin = listed.names[listed.operation[node]], listed.begin[order]
        groups.append(
            Group(
                operation,
                len(order),
                rows[order] if operation in values else None,
                tuple(route(listed.children[begin + position]) for position in range(listed.arity[node])),
                layout,
                tuple(map(len, demands[number])),
            )
        )
    return Plan(tuple(reversed(groups)), outputs, counts, values, len(kind))


def _values(listed: Listing) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The values of each operation, and of each node the row of its own."""
    rows = np.zeros(len(listed.values), np.int64)
    stacked: dict[str, np.ndarray] = {}
    by_structure = np.argsort(listed.structure, kind="stable")
    operations = listed.operation[by_structure]
    for index, operation in enumerate(listed.names):
        nodes = by_structure[operations == index]
        given = [listed.values[node] for node in nodes.tolist()]
        kinds = set(map(type, given))
        if kinds == {NoneType}:
            continue
        if NoneType in kinds:
            what = f"some nodes {operation!r} have a value, and some have none"
            raise UsageError("EK-INPUT", what, "give all of them one, or call those without one something else")
        stacked[operation] = _stacked(operation, given)
        rows[nodes] = np.arange(len(nodes))
    return stacked, rows


def _stacked(operation: str, given: Sequence[Any]) -> np.ndarray:
    try:
        array = np.array(given)
    except (ValueError, TypeError, RuntimeError):  # also what a tensor says that has gradients
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        shapes = sorted({str(getattr(value, "shape", "()")) for value in given})
        what = f"the values of {operation!r} are no numbers"
        if len(shapes) > 1:
            what = f"the values of {operation!r} differ in shape: {', '.join(shapes[:4])}"
        raise UsageError("EK-INPUT", what, "numbers or numpy arrays, of one shape for all nodes of an operation")
    # Python's floats are no wish for double precision.
    return array.astype(np.float32) if array.dtype == np.float64 and type(given[0]) is float else array
