"""What is folded into constants is what other passes may put something else in place of."""

from __future__ import annotations

import torch
from torch import nn

from edgekit.pipeline.exporters.executorch import quantize
from edgekit.pipeline.recipes.xnnpack import StaticQuantizer
from edgekit.pipeline.rewrites.constants import fold_constants
from edgekit.recipes import RECIPES


def test_a_computed_weight_takes_in_the_norm_behind_it_in_int8() -> None:
    torch.manual_seed(0)
    convolution = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
    model = nn.Sequential(convolution, nn.BatchNorm2d(8), nn.ReLU()).eval()
    model[1].running_mean = torch.randn(8)
    samples = [(torch.randn(1, 3, 8, 8),) for _ in range(8)]
    graph = torch.export.export(model, samples[0]).module()
    assert fold_constants(graph) == 1
    quantized = quantize(graph, StaticQuantizer(RECIPES["int8"]), samples)
    assert not any("batch_norm" in str(node.target) for node in quantized.graph.nodes)
    with torch.no_grad():
        expected = torch.cat([model(*each) for each in samples])
        off = torch.cat([quantized(*each) for each in samples]) - expected
    assert off.square().sum() < 0.01 * expected.square().sum()
