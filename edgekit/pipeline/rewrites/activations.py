"""Activations in operators that XNNPACK's partitioner takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

_ATEN = torch.ops.aten


def _gelu(value: torch.Tensor, *, approximate: str = "none") -> Any:
    """The approximation, spelled out.

    executorch 1.5.1 does not look at ``approximate`` when it delegates. Symptom: 73 dB instead of 130.
    """
    if approximate == "none":
        return NotImplemented
    inner = math.sqrt(2 / math.pi) * (value + 0.044715 * value * value * value)
    return value * torch.sigmoid(2 * inner)  # 1 + tanh(x) is twice the sigmoid of 2 x


def _hard_sigmoid(value: torch.Tensor) -> torch.Tensor:
    """With Python's numbers.

    executorch 1.5.1 decomposes it to tensors without axes, each of which is copied outside of the delegate. Symptom:
    18 ``_to_dim_order_copy`` before MobileNetV3.
    """
    return F.hardtanh(value + 3.0, 0.0, 6.0) * (1 / 6)


def _random_slope(value: torch.Tensor, lower: float = 1 / 8, upper: float = 1 / 3, *_: Any) -> torch.Tensor:
    """Outside of training, the slope in the middle."""
    return F.leaky_relu(value, (lower + upper) / 2)


def _prelu(value: torch.Tensor, weight: torch.Tensor) -> Any:
    """By two of ReLU, of what is no picture.

    executorch 1.5.1 lays out all that goes into it as pictures. Symptom: "An error occurred when running the
    'ChannelsLastTaggedReshapePass'".
    """
    if value.dim() == 4:
        return NotImplemented
    slope = weight.reshape(-1, *[1] * (value.dim() - 2)) if weight.numel() > 1 else weight
    return F.relu(value) - slope * F.relu(-value)


COMMON: dict[Any, Callable[..., Any]] = {_ATEN.rrelu.default: _random_slope}
XNNPACK: dict[Any, Callable[..., Any]] = {
    **COMMON,
    _ATEN.gelu.default: _gelu,
    _ATEN.hardsigmoid.default: _hard_sigmoid,
    _ATEN.prelu.default: _prelu,
}
