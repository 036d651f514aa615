"""Pads of every mode."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.windows import around

#: Torch's names of the modes, and how much less than the axis' size a pad has to be for it.
_MODES = {"reflect": ("reflect", 1), "edge": ("replicate", None), "wrap": ("circular", 0)}


@operator("Pad")
def pad(node: Node, x: Value, pads: Value = None, value: Value = None, axes: Value = None) -> Value:
    if node.opset < 11:
        given, fill = node.get("pads"), node.get("value", 0.0)
    else:
        given = node.ints(pads, "pads")
        fill = 0 if value is None else node.number(value, "constant_value")
    along = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in node.ints(axes, "axes")]
    before, after = [0] * x.ndim, [0] * x.ndim
    for at, axis in enumerate(along):
        before[axis], after[axis] = given[at], given[at + len(along)]
    mode = node.get("mode", "constant")
    if mode == "constant":
        return F.pad(x, _short(around(before, after)), value=fill) if any(before + after) else x
    # What is cut off goes first: the rest is padded with what then is there.
    for axis in range(x.ndim):
        cut = (min(before[axis], 0), min(after[axis], 0))
        if any(cut):
            x = x.narrow(axis, -cut[0], x.shape[axis] + sum(cut))
            before[axis], after[axis] = max(before[axis], 0), max(after[axis], 0)
    return padded_by_itself(x, mode, before, after)


def padded_by_itself(x: Value, mode: str, before: list[int], after: list[int]) -> Value:
    """*x* with numbers of its own around it: ``reflect``, ``edge`` or ``wrap``."""
    if not any(before + after):
        return x
    name, less = _MODES[mode]
    sizes = list(x.shape)
    first = next(axis for axis in range(x.ndim) if before[axis] or after[axis])
    enough = less is None or all(max(before[axis], after[axis]) <= sizes[axis] - less for axis in range(first, x.ndim))
    spatial = x.ndim - first
    wanted = max(spatial, x.ndim - 2)
    if x.is_floating_point() and enough and wanted <= 3 and x.ndim - wanted in (1, 2):
        return F.pad(x, around(before[-wanted:], after[-wanted:]), mode=name)
    for axis in range(first, x.ndim):
        if before[axis] or after[axis]:
            positions = torch.arange(-before[axis], sizes[axis] + after[axis])
            x = torch.index_select(x, axis, _source(mode, positions, sizes[axis]))
    return x


def _source(mode: str, positions: torch.Tensor, size: int) -> torch.Tensor:
    """Which of *size* numbers is at each of *positions*, some of them outside."""
    if mode == "edge":
        return torch.clamp(positions, 0, size - 1)
    if mode == "wrap" or size == 1:
        return torch.remainder(positions, size)
    folded = torch.remainder(positions, 2 * (size - 1))
    return torch.where(folded < size, folded, 2 * (size - 1) - folded)


def _short(pads: list[int]) -> list[int]:
    """*pads* without those of the first axes that have none."""
    while len(pads) > 2 and not any(pads[-2:]):
        pads = pads[:-2]
    return pads
