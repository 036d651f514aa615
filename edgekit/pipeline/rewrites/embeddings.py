"""Bags of embeddings, as products of a table's rows with who is in which bag.

Neither converter has an operator for them ("Lowering not found: aten._embedding_bag", "no kernel for _embedding_bag").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

_ATEN = torch.ops.aten
_SUM, _MEAN = 0, 1


def _bag(
    weight: torch.Tensor,
    indices: torch.Tensor,
    offsets: torch.Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = _SUM,
    sparse: bool = False,
    per_sample_weights: torch.Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[torch.Tensor, ...]:
    """What is in each bag begins at its offset; of the four results, the first is the one that layers return."""
    bags = int(offsets.shape[0]) - int(include_last_offset)
    positions = torch.arange(indices.numel())
    bag = (offsets[:bags].unsqueeze(0) <= positions.unsqueeze(1)).to(torch.int64).sum(1) - 1
    member = bag.unsqueeze(0) == torch.arange(bags).unsqueeze(1)
    if padding_idx is not None and padding_idx != -1:
        member = member & (indices != padding_idx % int(weight.shape[0])).unsqueeze(0)
    rows = F.embedding(indices, weight)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(1)
    count = member.to(rows.dtype).sum(1, keepdim=True)
    if mode in (_SUM, _MEAN):
        found = member.to(rows.dtype) @ rows
        found = found / count.clamp(min=1.0) if mode == _MEAN else found
    else:
        least = torch.full_like(rows.unsqueeze(0), torch.finfo(rows.dtype).min)
        found = torch.where(member.unsqueeze(2), rows.unsqueeze(0), least).amax(1)
        found = torch.where(count > 0, found, torch.zeros_like(found))
    return found, bag, count, count


RULES: dict[Any, Callable[..., Any]] = {
    _ATEN.embedding_bag.default: _bag,
    _ATEN.embedding_bag.padding_idx: _bag,
}
