"""Two results of one reduction, each by an operator of its own.

executorch 1.5.1 has none for both ("aten.var_mean is not in Core ATen opset").
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


RULES: dict[Any, Callable[..., Any]] = {
    getattr(getattr(_ATEN, name), overload): _with_mean(spread)
    for name, spread in (("var_mean", torch.var), ("std_mean", torch.std))
    for overload in ("default", "dim", "correction")
}
