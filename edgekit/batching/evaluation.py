"""Evaluating a plan in PyTorch: one call of a cell for each group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from edgekit.batching.plan import Group, Plan, Route
from edgekit.errors import UsageError, did_you_mean


class Batched(torch.nn.Module):
    """Cells for the operations of structures, applied to all structures of a plan together.

    Each operation has a cell: a module, or a plain function. It takes the values of its nodes, where they have any,
    then the states of each child in turn, and gives the states of the nodes. All of these have one row for each node;
    a state is a tensor, or a tuple of tensors. A row of the result must depend on no other row.
    """

    def __init__(self, cells: Mapping[str, Callable[..., Any]]):
        super().__init__()
        #: In the order in which they are given; those of plain functions have no place here.
        self.cells = torch.nn.ModuleList(cell for cell in cells.values() if isinstance(cell, torch.nn.Module))
        modules = iter(range(len(self.cells)))
        self._cells = {
            name: next(modules) if isinstance(cell, torch.nn.Module) else cell for name, cell in cells.items()
        }

    def forward(self, plan: Plan, values: Mapping[str, torch.Tensor] | None = None) -> Any:
        """The states of the plan's roots or of all its nodes, in order; gradients flow back through all of them.

        Args:
            plan: For the structures.
            values: Of an operation, instead of those in the plan: as many rows in the same order (see `Plan.values`).

        Returns:
            A tensor ``[structures, …]``, or ``[nodes, …]``; a tuple of such where a state is a tuple.

        Raises:
            UsageError: ``EK-INPUT``: an operation has no cell, a cell does not give one row for each node, or states
                that are to be joined differ in shape.
        """
        given = self._values(plan, values or {})
        parts: list[list[Any]] = []
        for group in plan.groups:
            arguments = [_gathered(route, parts, group.operation) for route in group.inputs]
            if group.values is not None:
                own = given[group.operation]
                whole = group.size == len(own) and bool((group.values[1:] > group.values[:-1]).all())
                arguments.insert(
                    0, own if whole else own.index_select(0, torch.from_numpy(group.values).to(own.device))
                )
            parts.append(_parted(self._cell(group.operation)(*arguments), group))
        return _gathered(plan.outputs, parts, "the outputs")

    def _cell(self, operation: str) -> Callable[..., Any]:
        cell = self._cells.get(operation)
        if cell is None:
            raise UsageError("EK-INPUT", f"there is no cell for {operation!r}", did_you_mean(operation, self._cells))
        return self.cells[cell] if isinstance(cell, int) else cell

    def _values(self, plan: Plan, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        parameter = next(self.parameters(), None)
        device = None if parameter is None else parameter.device
        values = {name: torch.from_numpy(array).to(device) for name, array in plan.values.items() if name not in given}
        for name, tensor in given.items():
            if name not in plan.values:
                hint = did_you_mean(name, plan.values) if plan.values else "no node has a value"
                raise UsageError("EK-INPUT", f"the plan has no values of {name!r}", hint)
            if len(tensor) != len(plan.values[name]):
                what = f"values of {name!r} have {len(tensor)} rows, the plan has {len(plan.values[name])} such nodes"
                raise UsageError("EK-INPUT", what, "one row for each, in the order of Plan.values")
        return {**values, **given}


def _parted(state: Any, group: Group) -> list[Any]:
    """*state*, checked, in the parts that the readers of *group* take."""
    if isinstance(state, tuple):
        return list(zip(*(_parted(each, group) for each in state), strict=True))
    if not isinstance(state, torch.Tensor) or state.ndim == 0 or len(state) != group.size:
        shown = f"{list(state.shape)}" if isinstance(state, torch.Tensor) else f"a {type(state).__name__}"
        what = f"the cell of {group.operation!r} gave {shown} for {group.size} nodes"
        raise UsageError("EK-INPUT", what, "it gives a tensor with one row for each node, or a tuple of such")
    if group.layout is not None:
        state = state.index_select(0, torch.from_numpy(group.layout).to(state.device))
    return [state] if len(group.parts) == 1 else list(state.split(group.parts))


def _gathered(route: Route, parts: list[list[Any]], reader: str) -> Any:
    """The states on *route*, joined and in order."""
    states = [parts[group][part] for group, part in route.parts]
    order = None if route.order is None else torch.from_numpy(route.order)
    try:
        if isinstance(states[0], tuple):
            return tuple(_joined(column, order) for column in zip(*states, strict=True))
        return _joined(states, order)
    except (RuntimeError, TypeError, ValueError) as error:
        shapes = {_row(state) for state in states}
        if len(shapes) < 2:
            raise
        what = f"states that go into {reader!r} differ: {' and '.join(sorted(shapes))} for a node"
        hint = "cells whose nodes may stand in the same position give states of one shape"
        raise UsageError("EK-INPUT", what, hint) from error


def _joined(states: Sequence[torch.Tensor], order: torch.Tensor | None) -> torch.Tensor:
    joined = states[0] if len(states) == 1 else torch.cat(states)
    return joined if order is None else joined.index_select(0, order.to(joined.device))


def _row(state: Any) -> str:
    """How a state looks for one node."""
    if isinstance(state, tuple):
        return f"({', '.join(map(_row, state))})"
    return str(list(state.shape[1:]))
