"""Folding pads into convolutions changes nothing but the work."""

from __future__ import annotations

import random

import pytest
import torch
from support.torch_nets import Nets, samples
from torch import nn

from edgekit.pipeline.recipes.fold_pads import fold_pads, zero_pad
from edgekit.pipeline.recipes.pooling import rewrite_pools


def _exported(module: nn.Module, example: torch.Tensor) -> torch.fx.GraphModule:
    return torch.export.export(module.eval(), (example,)).module()


def _pads(graph_module: torch.fx.GraphModule) -> int:
    return sum(zero_pad(node) is not None for node in graph_module.graph.nodes)


@pytest.mark.parametrize("seed", range(60))
def test_folding_is_exact(seed: int) -> None:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    rank = draw.choice((1, 2))
    pads = [draw.randint(0, 2) for _ in range(2 * rank)]
    options = {"stride": draw.randint(1, 3), "padding": draw.randint(0, 2), "dilation": draw.randint(1, 2)}
    convolution = (nn.Conv1d if rank == 1 else nn.Conv2d)(
        4, 4, draw.randint(1, 5), groups=draw.choice((1, 4)), **options
    )
    module = nn.Sequential((nn.ConstantPad1d if rank == 1 else nn.ConstantPad2d)(pads, 0.0), convolution)
    example = torch.randn(1, 4, *[draw.randint(9, 14) for _ in range(rank)])
    graph_module = _exported(module, example)
    before = graph_module(example)
    folded = fold_pads(graph_module)
    assert torch.allclose(graph_module(example), before, atol=1e-6)
    assert _pads(graph_module) == (0 if folded or not any(pads) else 1)
    if all(pads[axis * 2] == pads[axis * 2 + 1] for axis in range(rank)) and any(pads):
        assert folded == 1, "an even pad always folds"


def test_trailing_zeros_that_are_never_read_fold_away() -> None:
    graph_module = _exported(
        nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(2, 3, 3, stride=2)), torch.randn(1, 2, 15, 15)
    )
    assert fold_pads(graph_module) == 1


@pytest.mark.parametrize(
    "pad", [nn.ZeroPad2d((0, 1, 0, 1)), nn.ConstantPad2d(1, 0.5), nn.ReflectionPad2d(1), nn.ZeroPad2d((-1, 1, 0, 0))]
)
def test_what_a_convolution_cannot_do_itself_stays(pad: nn.Module) -> None:
    example = torch.randn(1, 2, 12, 12)
    graph_module = _exported(nn.Sequential(pad, nn.Conv2d(2, 3, 3, stride=2)), example)
    before = graph_module(example)
    assert fold_pads(graph_module) == 0
    assert torch.equal(graph_module(example), before)


def test_a_pad_that_something_else_reads_too_stays_for_it() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(2, 2, 3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            padded = nn.functional.pad(image, (1, 1, 1, 1))
            return self.convolution(padded).mean((2, 3)) + padded.amax((2, 3))

    example = torch.randn(1, 2, 8, 8)
    graph_module = _exported(Shared(), example)
    before = graph_module(example)
    assert (fold_pads(graph_module), rewrite_pools(graph_module), _pads(graph_module)) == (1, 1, 1)
    assert torch.allclose(graph_module(example), before, atol=1e-6)


def test_a_ported_network_keeps_only_the_pads_it_needs(nets: Nets) -> None:
    module = nets.source("padded").torch_module()
    images = torch.from_numpy(samples("padded", 4))
    graph_module = _exported(module, images[:1])
    assert (_pads(graph_module), fold_pads(graph_module), _pads(graph_module)) == (3, 2, 1)
    assert torch.allclose(graph_module(images[:1]), module(images[:1]), atol=1e-5)
