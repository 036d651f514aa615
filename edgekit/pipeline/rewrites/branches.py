"""``torch.cond`` as a choice between the results of both ways.

litert-torch 0.10.0 has no branches ("Lowering not found: cond"), and executorch 1.5.1 gives the results of each at
another place in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

COND = torch.ops.higher_order.cond


def choose(
    condition: torch.Tensor, first: Callable[..., Any], second: Callable[..., Any], operands: Sequence[Any]
) -> Any:
    """What *first* gives of *operands* where *condition* holds, else what *second* gives."""
    results = (pytree.tree_leaves(each(*operands)) for each in (first, second))
    condition = torch.as_tensor(condition).reshape(())
    return tuple(torch.where(condition, one, other) for one, other in zip(*results, strict=True))
