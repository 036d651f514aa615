"""Layers of Torch7's ``nn`` that have no weights: shapes, axes and tables.

Axes are counted from 1 there, with or without that of samples; tables are lists of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

Fields = Mapping[str, Any]


class Function(nn.Module):
    """A layer without weights."""

    def __init__(self, function: Callable[[Any], Any], name: str):
        super().__init__()
        self._function, self._name = function, name

    def forward(self, value: Any) -> Any:
        return self._function(value)

    def extra_repr(self) -> str:
        return self._name


def listed(table: Any) -> list[tuple[int, Any]]:
    """The entries 1, 2, … of a table of Lua."""
    found = table if isinstance(table, dict) else {}
    return [(index, found[index]) for index in range(1, len(found) + 1)]


def view(fields: Fields) -> nn.Module:
    """``View`` and ``Reshape``: of each sample, unless the first number stands for them all."""
    sizes = [int(size) for size in np.atleast_1d(fields["size"])]
    whole = (sizes[0] == -1 and len(sizes) > 1) or fields.get("batchMode") is False

    def view(value: torch.Tensor) -> torch.Tensor:
        return value.reshape(sizes) if whole else value.reshape(value.shape[0], *sizes)

    return Function(view, f"view {sizes}")


def axis_of(fields: Fields, name: str = "dimension", sizes: str = "nInputDims") -> Callable[[torch.Tensor], int]:
    """The axis that a field means: counted without samples where it says how many axes one sample has."""
    number, axes = int(fields.get(name, 1) or 1), int(fields.get(sizes, -1) or -1)

    def find(value: torch.Tensor) -> int:
        if number < 0:
            return value.ndim + number
        return number if axes > 0 and value.ndim == axes + 1 else number - 1

    return find


def along(fields: Fields, function: Callable[[torch.Tensor, int], Any]) -> nn.Module:
    axis = axis_of(fields)
    return Function(lambda value: function(value, axis(value)), function.__name__)


def join_table(fields: Fields) -> nn.Module:
    axis = axis_of(fields)
    return Function(lambda values: torch.cat(list(values), axis(values[0])), "join")


def narrow(fields: Fields) -> nn.Module:
    axis, begin, length = axis_of(fields), int(fields["index"]) - 1, int(fields["length"])
    return Function(
        lambda value: value.narrow(axis(value), begin, length if length >= 0 else value.shape[axis(value)] - begin),
        "narrow",
    )


def select(fields: Fields) -> nn.Module:
    axis, index = axis_of(fields), int(fields["index"])
    return Function(lambda value: value.select(axis(value), index - 1 if index > 0 else index), "select")


def transpose(fields: Fields) -> nn.Module:
    swaps = [tuple(int(axis) - 1 for _, axis in listed(pair)) for _, pair in listed(fields["permutations"])]

    def transpose(value: torch.Tensor) -> torch.Tensor:
        for one, other in swaps:
            value = value.transpose(one, other)
        return value

    return Function(transpose, f"transpose {swaps}")


def padding(fields: Fields) -> nn.Module:
    axis, pad, filled = axis_of(fields, "dim", "nInputDim"), int(fields["pad"]), float(fields.get("value", 0) or 0)

    def run(value: torch.Tensor) -> torch.Tensor:
        sides = [0, 0] * value.ndim
        sides[2 * (value.ndim - 1 - axis(value)) + (pad > 0)] = abs(pad)
        return F.pad(value, sides, value=filled)

    return Function(run, "pad")


def edges(mode: str) -> Callable[[Fields], nn.Module]:
    def make(fields: Fields) -> nn.Module:
        sides = [int(fields.get(name, 0) or 0) for name in ("pad_l", "pad_r", "pad_t", "pad_b")]
        return Function(lambda value: F.pad(value, sides, mode), f"{mode} pad {sides}")

    return make


def total(fields: Fields) -> nn.Module:
    axis, average = axis_of(fields), bool(fields.get("sizeAverage", False))
    return Function(lambda value: value.mean(axis(value)) if average else value.sum(axis(value)), "sum")


def unsqueeze(fields: Fields) -> nn.Module:
    position, axes = int(fields["pos"]), int(fields.get("numInputDims", -1) or -1)
    return Function(
        lambda value: value.unsqueeze(position if axes > 0 and value.ndim == axes + 1 else position - 1), "axis"
    )


def squeeze(fields: Fields) -> nn.Module:
    axis, axes = fields.get("dim"), int(fields.get("numInputDims", -1) or -1)

    def run(value: torch.Tensor) -> torch.Tensor:
        if axis is None:  # all but that of samples
            return value.reshape(value.shape[0], *(size for size in value.shape[1:] if size != 1))
        position = int(axis)
        return value.squeeze(position if axes > 0 and value.ndim == axes + 1 else position - 1)

    return Function(run, "squeeze")


def depth_concat(axis: int) -> Callable[[list[Any]], Any]:
    def join(values: list[Any]) -> torch.Tensor:
        largest = [max(each.shape[position] for each in values) for position in range(values[0].ndim)]
        padded = []
        for each in values:
            sides: list[int] = []
            for position in reversed(range(each.ndim)):
                more = 0 if position == axis else largest[position] - each.shape[position]
                sides += [more // 2, more - more // 2]
            padded.append(F.pad(each, sides))
        return torch.cat(padded, axis)

    return join


def flattened(values: Any) -> list[Any]:
    if isinstance(values, (list, tuple)):
        return [each for value in values for each in flattened(value)]
    return [values]


def position_of(index: int) -> int:
    return index - 1 if index > 0 else index
