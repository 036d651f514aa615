"""Attention under a mask that may leave nothing to attend to.

LiteRT 2.3.0 gives NaN where torch gives 0 (softmax of infinities alone).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten
_LEAST = -1e30


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if mask is None or mask.dtype != torch.bool:
        return NotImplemented
    if enable_gqa:
        shared = int(query.shape[-3]) // int(key.shape[-3])
        key, value = (each.repeat_interleave(shared, -3) for each in (key, value))
    factor = 1 / math.sqrt(int(query.shape[-1])) if scale is None else scale
    scores = (query * factor) @ key.transpose(-2, -1)
    weights = torch.softmax(torch.where(mask, scores, torch.full((), _LEAST)), -1)
    return torch.where(mask, weights, torch.zeros(())) @ value


LITERT: dict[Any, Callable[..., Any]] = {_ATEN.scaled_dot_product_attention.default: _attention}
