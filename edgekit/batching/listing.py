"""All nodes of some structures, as columns of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from edgekit.errors import UsageError

#: Operation, children and value of a node.
Reader = Callable[[Any], tuple[str, Sequence[Any], Any]]


@dataclass(frozen=True)
class Listing:
    """The nodes of structures, level after level from the roots, each one once. Columns have an entry for each node.

    Attributes:
        names: Of the operations.
        operation: Index of its own.
        arity: How many children.
        begin: Where the indices of its children begin in *children*.
        depth: How many calls have to come before its own; 0 without children.
        structure: Index of the structure: where several share the node, of the first that it is nearest to the root of.
        values: As they were given.
        roots: Index of the root of each structure.
    """

    names: tuple[str, ...]
    operation: np.ndarray
    arity: np.ndarray
    begin: np.ndarray
    children: np.ndarray
    depth: np.ndarray
    structure: np.ndarray
    values: list[Any]
    roots: np.ndarray


def list_nodes(roots: Sequence[Any], read: Reader | None = None) -> Listing:
    """The nodes of the structures with these *roots*.

    Raises:
        UsageError: ``EK-INPUT``: something is no node, or a node is computed from itself.
    """
    # Whole levels go through loops that Python runs fast: a third of what a loop over all nodes takes. Trees, in which
    # a node's number is where it stands, are tried first.
    numbered: _AllNew | _Numbers = _AllNew()
    while True:
        try:
            return _listed(roots, read, numbered)
        except _Shared:
            numbered = _Numbers()


class _Shared(Exception):
    """Some node is reached in several ways."""


class _AllNew:
    """Numbers for nodes that all are met once."""

    def __init__(self) -> None:
        self._met: set[int] = set()

    def of(self, level: list[Any]) -> tuple[Sequence[int], None]:
        begin = len(self._met)
        self._met.update(map(id, level))
        if len(self._met) < begin + len(level):
            raise _Shared
        return range(begin, begin + len(level)), None


class _Numbers:
    """Numbers for nodes, in the order in which they are met."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}

    def of(self, level: list[Any]) -> tuple[Sequence[int], list[int]]:
        """The number of each node in *level*, and the indices of those that were not met before."""
        met, ids, new = self._met, list(map(id, level)), []
        for index, key in enumerate(ids):
            if key not in met:
                met[key] = len(met)
                new.append(index)
        return [met[key] for key in ids], new


def _listed(roots: Sequence[Any], read: Reader | None, numbered: _AllNew | _Numbers) -> Listing:
    numbers: list[Sequence[int]] = []
    operations: list[str] = []
    arities: list[int] = []
    values: list[Any] = []
    owners: list[np.ndarray] = []
    levels: list[list[Any]] = []  # keeps nodes alive, as an id is one for so long
    ends, level, owner = [0], list(roots), np.arange(len(roots))
    while level:
        numbers_here, new = numbered.of(level)
        numbers.append(numbers_here)
        levels.append(level)
        if new is not None:
            level, owner = [level[index] for index in new], owner[new]
        below: Sequence[Sequence[Any]] = ()
        if level:
            names, below, given = _read(level, read)
            operations.extend(names)
            values.extend(given)
            counts = list(map(len, below))
            arities.extend(counts)
            owners.append(owner)
            owner = np.repeat(owner, counts)
        ends.append(len(arities))
        level = list(chain.from_iterable(below))
    known = {name: index for index, name in enumerate(dict.fromkeys(operations))}
    operation = np.array(list(map(known.__getitem__, operations)), np.int64)
    arity = np.array(arities, np.int64)
    begin = np.cumsum(arity) - arity
    if isinstance(numbered, _AllNew):
        children = np.arange(len(roots), len(arity))
        depth = _depths_of_trees(arity, ends)
    else:
        children = np.array(list(chain.from_iterable(numbers[1:])), np.int64)
        depth = _depths(arity, begin, children)
    own = np.concatenate(owners) if owners else owner
    roots_at = np.array(numbers[0] if numbers else (), np.int64)
    return Listing(tuple(known), operation, arity, begin, children, depth, own, values, roots_at)


def _read(nodes: Sequence[Any], read: Reader | None) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[Any]]:
    """Operations, children and values of *nodes*."""
    if read is not None:
        operations, children, values = zip(*map(read, nodes), strict=True)
        return operations, children, values
    try:
        return [node.operation for node in nodes], [node.children for node in nodes], [node.value for node in nodes]
    except AttributeError as error:
        kinds = sorted({type(node).__name__ for node in nodes if not hasattr(node, "children")})
        what = f"a {kinds[0]} is no node" if kinds else str(error)
        raise UsageError("EK-INPUT", what, "give batching.Node, or read=… that reads yours") from error


def _depths_of_trees(arity: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """The depths where each node has one reader at most, and so its children lie side by side in the next level."""
    depth = np.zeros(len(arity), np.int64)
    for begin, end, last in reversed(list(zip(ends, ends[1:], ends[2:], strict=False))):
        own = arity[begin:end]
        inner = np.flatnonzero(own)
        if len(inner):
            first = (np.cumsum(own) - own)[inner]
            depth[begin + inner] = 1 + np.maximum.reduceat(depth[end:last], first)
    return depth


def _depths(arity: np.ndarray, begin: np.ndarray, children: np.ndarray) -> np.ndarray:
    """The depths in any graph. Raises `UsageError`: it has a cycle."""
    below = [children[first : first + count].tolist() for first, count in zip(begin, arity, strict=True)]
    readers = np.bincount(children, minlength=len(arity)).tolist()
    ordered = [node for node, count in enumerate(readers) if not count]
    for node in ordered:  # which grows meanwhile
        for child in below[node]:
            readers[child] -= 1
            if not readers[child]:
                ordered.append(child)
    if len(ordered) < len(arity):
        what = "a node is computed from itself"
        raise UsageError("EK-INPUT", what, "structures are trees, or graphs without cycles")
    depth = [0] * len(arity)
    for node in reversed(ordered):
        if below[node]:
            depth[node] = 1 + max([depth[child] for child in below[node]])
    return np.array(depth)
