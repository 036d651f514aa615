"""Two results of one reduction, each by an operator of its own.

executorch 1.5.1 has none for both ("aten.var_mean is not in Core ATen opset"), and XNNPACK takes maxima of four axes
along the last two alone, where they stay as axes ("amax.default only supports dim == 2 or dim == 3").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten


def _with_mean(spread: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    def rule(value: torch.Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **more: Any) -> Any:
        if isinstance(dim, bool):  # the overload without axes
            dim, unbiased = None, dim
        correction = more.get("correction")
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        axes = list(range(value.dim())) if dim is None or dim == [] else dim
        mean = value.mean(axes, keepdim=keepdim)
        return spread(value, axes, correction=correction, keepdim=keepdim), mean

    return rule


def _largest(value: torch.Tensor, dim: int, keepdim: bool = False) -> Any:
    if value.dim() != 4 or not value.is_floating_point():
        return NotImplemented
    axis, others = dim % 4, [each for each in range(4) if each != dim % 4]
    if axis > 1:
        found = torch.max(value, axis, keepdim=True).values
    else:
        found = torch.max(value.permute(*others, axis), 3, keepdim=True).values
        found = found.permute([[*others, axis].index(each) for each in range(4)])
    return found if keepdim else found.squeeze(axis), torch.argmax(value, axis, keepdim=keepdim)


def _over_all(operator: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """The rule for *operator* over no axes, which are all: litert-torch 0.10.0 takes them for none."""

    def rule(value: torch.Tensor, dim: Any, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Any:
        if dim != [] or value.dim() == 0:
            return NotImplemented
        return operator(value, list(range(value.dim())), keepdim, dtype=dtype)

    return rule


LITERT: dict[Any, Callable[..., Any]] = {
    _ATEN.mean.dim: _over_all(torch.mean),
    _ATEN.sum.dim_IntList: _over_all(torch.sum),
}
XNNPACK: dict[Any, Callable[..., Any]] = {_ATEN.max.dim: _largest}
RULES: dict[Any, Callable[..., Any]] = {
    getattr(getattr(_ATEN, name), overload): _with_mean(spread)
    for name, spread in (("var_mean", torch.var), ("std_mean", torch.std))
    for overload in ("default", "dim", "correction")
}
