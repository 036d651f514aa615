"""Static int8 for XNNPACK: the cures, proved on files that ExecuTorch runs; and the faults they are for."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from executorch.runtime import Runtime
from support.torch_nets import Nets, samples
from torch import nn
from torch.fx import Node
from torchao.quantization.pt2e.quantizer import Quantizer

from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters.executorch import lower, quantize
from edgekit.pipeline.recipes.pooling import rewrite_pools
from edgekit.pipeline.recipes.xnnpack import StaticQuantizer, dynamic_quantizer
from edgekit.recipes import RECIPES
from edgekit.runtime.contents.pte import read
from edgekit.runtime.contents.xnnpack import node_names


class _PadsAsStock(StaticQuantizer):
    def _quantize_before(self, pad: Node) -> None:
        pass


def _stock(dynamic: bool = False) -> XNNPACKQuantizer:
    quantizer = XNNPACKQuantizer()
    quantizer.SUPPORTED_PATTERNS = StaticQuantizer.SUPPORTED_PATTERNS  # the others match nothing here
    return quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic))


def _file(module: nn.Module, quantizer: Quantizer, calibration: torch.Tensor) -> bytes:
    example = (calibration[:1],)
    graph_module = torch.export.export(module.eval(), example).module()
    rewrite_pools(graph_module)
    graph_module = quantize(graph_module, quantizer, ((sample[None],) for sample in calibration))
    return lower(graph_module, example)


def _run(data: bytes, images: torch.Tensor) -> torch.Tensor:
    method = Runtime.get().load_program(data).load_method("forward")
    return torch.cat([method.execute([image[None].contiguous()])[0].clone() for image in images])


def _nodes(data: bytes) -> Counter[str]:
    graphs = (part.graph for part in read(data).parts)
    return Counter(name for graph in graphs if graph is not None for name in node_names(graph))


def test_relu6_keeps_its_precision_where_the_stock_quantizer_loses_it(nets: Nets) -> None:
    """When the stock figure rises, the ReLU6 workaround can go."""
    module = nets.source("clamped").torch_module()
    calibration = torch.from_numpy(samples("clamped", 32, seed=2))
    images = torch.from_numpy(samples("clamped"))
    reference = nets.reference("clamped")
    stock = snr_db(reference, _run(_file(module, _stock(), calibration), images).numpy())
    cured = snr_db(reference, _run(_file(module, StaticQuantizer(RECIPES["int8"]), calibration), images).numpy())
    assert cured > 16 and stock < cured - 6


def test_pads_ride_on_convolutions_without_changing_a_bit(nets: Nets) -> None:
    """When the stock file has no more converts and pads than ours, the pad workaround can go."""
    module = nets.source("padded").torch_module()
    calibration = torch.from_numpy(samples("padded", 8, seed=2))
    images = torch.from_numpy(samples("padded"))
    stock = _file(module, _PadsAsStock(RECIPES["int8"]), calibration)
    riding = _file(module, StaticQuantizer(RECIPES["int8"]), calibration)
    assert torch.equal(_run(stock, images), _run(riding, images))
    assert _nodes(riding)["XNNConvert"] <= 2 + 1  # in, out, and before the mean, which is float
    assert _nodes(stock)["XNNConvert"] > _nodes(riding)["XNNConvert"]
    assert {name for name in _nodes(riding)} >= {"XNNStaticConstantPad", "XNNDepthwiseConv2d"}


class _PadThenPool(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ZeroPad2d(1), nn.MaxPool2d(2))


def test_a_pad_that_no_convolution_reads_loads(nets: Nets) -> None:
    torch.manual_seed(0)
    images = torch.randn(8, 3, 16, 16)
    module = _PadThenPool().eval()
    with torch.no_grad():
        reference = module(images).numpy()
    assert snr_db(reference, _run(_file(module, StaticQuantizer(RECIPES["int8"]), images), images).numpy()) > 30


def test_dynamic_convolutions_behind_a_pad_stay_float_because_the_stock_file_fails_at_execution() -> None:
    """When the stock file runs, `dynamic_quantizer` needs no filter."""
    torch.manual_seed(0)
    images = torch.randn(4, 3, 16, 16)
    module = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, stride=2), nn.ReLU6(), nn.Conv2d(8, 8, 1)
    ).eval()
    stock = Runtime.get().load_program(_file(module, _stock(dynamic=True), images[:1])).load_method("forward")
    with pytest.raises(RuntimeError):
        stock.execute([images[:1]])
    with torch.no_grad():
        reference = module(images).numpy()
    assert (
        snr_db(reference, _run(_file(module, dynamic_quantizer(RECIPES["int8-dynamic"]), images[:1]), images).numpy())
        > 30
    )
