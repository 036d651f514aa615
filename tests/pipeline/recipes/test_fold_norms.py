"""Batch norms behind transposed convolutions in groups: lowered, and right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from torch import nn

from edgekit.pipeline.exporters.executorch import lower
from edgekit.pipeline.recipes.fold_norms import fold_norms
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec


def network(axes: int, groups: int, affine: bool = True) -> nn.Module:
    """A transposed convolution with a norm, whose result is as high and wide as it has channels."""
    torch.manual_seed(0)
    convolution, norm = [
        (nn.ConvTranspose1d, nn.BatchNorm1d),
        (nn.ConvTranspose2d, nn.BatchNorm2d),
    ][axes - 1]
    layers = nn.Sequential(convolution(4, 8, 2, stride=2, groups=groups), norm(8, affine=affine), nn.ReLU())
    layers[1].running_mean, layers[1].running_var = torch.randn(8), torch.rand(8) + 0.5
    if affine:
        nn.init.normal_(layers[1].weight)
        nn.init.normal_(layers[1].bias)
    return layers.eval()


@pytest.mark.parametrize(("axes", "groups", "affine"), [(1, 2, True), (2, 2, True), (2, 4, False)])
def test_the_file_gives_what_the_model_gives(axes: int, groups: int, affine: bool) -> None:
    model, x = network(axes, groups, affine), torch.randn(1, 4, *[4] * axes)
    graph = torch.export.export(model, (x,)).module()
    assert fold_norms(graph) == 1
    expected = model(x).detach().numpy()
    signature = Signature((TensorSpec("x", tuple(x.shape), "float32"),), (TensorSpec("y", expected.shape, "float32"),))
    session = open_session("executorch", lower(graph, (x,)), "pte", signature, 1)
    (measured,) = session.run([x.numpy()])
    session.close()
    np.testing.assert_allclose(measured, expected, atol=1e-5)


def test_norms_that_are_folded_anyway_stay() -> None:
    graph = torch.export.export(network(2, 1), (torch.randn(1, 4, 4, 4),)).module()
    assert fold_norms(graph) == 0


def test_the_stock_converter_fails() -> None:
    """When this fails, `fold_norms` can go."""
    program = torch.export.export(network(2, 2), (torch.randn(1, 4, 4, 4),))
    with pytest.raises(Exception, match="FuseBatchNormPass"):
        to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
