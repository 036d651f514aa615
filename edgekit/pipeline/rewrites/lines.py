"""Convolutions along a line without an axis of samples.

litert-torch 0.10.0 has none ("Lowering not found: aten.conv1d").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

_ATEN = torch.ops.aten


def conv1d(value: torch.Tensor, *given: Any) -> torch.Tensor:
    """As torch has it, of [N, C, L] or [C, L], always over the former."""
    return F.conv1d(value, *given) if value.dim() == 3 else F.conv1d(value.unsqueeze(0), *given).squeeze(0)


def _line(value: torch.Tensor, *given: Any) -> Any:
    return NotImplemented if value.dim() == 3 else conv1d(value, *given)


LITERT: dict[Any, Callable[..., Any]] = {_ATEN.conv1d.default: _line}
