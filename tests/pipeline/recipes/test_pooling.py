"""Pools are rewritten without changing a value."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.pipeline.recipes.pooling import rewrite_pools


class _Mean(nn.Module):
    def __init__(self, *arguments: object):
        super().__init__()
        self.arguments = arguments

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.mean(*self.arguments)


@pytest.mark.parametrize(
    ("pool", "shape", "rewritten"),
    [
        (_Mean((2, 3)), (1, 3, 6, 5), 1),
        (_Mean((-1, -2)), (1, 3, 6, 5), 1),
        (_Mean(2), (1, 3, 9), 1),
        (_Mean(-1, True), (1, 3, 9), 1),
        (nn.AdaptiveAvgPool2d(1), (1, 3, 6, 5), 1),
        (nn.AdaptiveAvgPool1d(1), (1, 3, 9), 1),
        (nn.MaxPool1d(2), (1, 3, 9), 1),
        (nn.MaxPool1d(3, stride=2, padding=1), (1, 3, 9), 1),
        (nn.MaxPool1d(3, stride=2, dilation=2, ceil_mode=True), (1, 3, 12), 1),
        (_Mean((2, 3), True), (1, 3, 6, 5), 0),
        (_Mean(1), (1, 3, 6, 5), 0),
        (nn.AdaptiveAvgPool2d(2), (1, 3, 6, 6), 0),
    ],
)
def test_values_stay(pool: nn.Module, shape: tuple[int, ...], rewritten: int) -> None:
    torch.manual_seed(0)
    tensor = torch.randn(shape)
    graph_module = torch.export.export(pool, (tensor,)).module()
    before = graph_module(tensor)
    assert rewrite_pools(graph_module) == rewritten
    assert torch.allclose(graph_module(tensor), before, atol=1e-6)
    assert graph_module(tensor).shape == before.shape
