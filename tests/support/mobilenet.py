"""MobileNetV2 (https://arxiv.org/abs/1801.04381, table 2) with random weights: the size of a real model, for timing.

Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekit.tensors import Signature, TensorSpec

MOBILENET = Signature(
    (TensorSpec("image", (1, 3, 224, 224), "float32"),), (TensorSpec("output", (1, 1000), "float32"),)
)

#: Expansion, channels, repeats and first stride of each stage.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _convolution(inward: int, outward: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inward, outward, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outward), nn.ReLU6()]


class _Block(nn.Module):
    def __init__(self, inward: int, outward: int, expansion: int, stride: int):
        super().__init__()
        wide = inward * expansion
        layers = _convolution(inward, wide, 1) if expansion > 1 else []
        layers += [*_convolution(wide, wide, 3, stride, wide), *_convolution(wide, outward, 1)[:2]]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inward == outward

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.layers(values) if self.adds else self.layers(values)


def mobilenet_v2() -> nn.Module:
    """3.5 million parameters; batch-norm statistics are those of random images, so that outputs differ."""
    torch.manual_seed(0)
    layers, channels = _convolution(3, 32, 3, 2), 32
    for expansion, outward, repeats, first in _STAGES:
        for index in range(repeats):
            layers.append(_Block(channels, outward, expansion, first if index == 0 else 1))
            channels = outward
    layers += [*_convolution(channels, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    model = nn.Sequential(*layers)
    with torch.no_grad():
        model(torch.randn(8, 3, 224, 224))
    return model.eval()


def export_mobilenet(folder: Path, recipes: Sequence[str] = ("fp32", "int8")) -> None:
    """``mobilenet-fp32`` and ``mobilenet-int8``, each as ``.pte`` and ``.tflite``, as edgekit exports them.

    Args:
        recipes: Of the ``.pte`` files, each of which takes half a minute.
    """
    net, examples = _calibrated(), (torch.randn(1, 3, 224, 224),)
    _export_pte(net, examples, folder, recipes)
    _export_tflite(net, folder)


def _calibrated() -> nn.Module:
    """The net with the statistics of a batch of random images, all of them: with any others, its outputs hardly depend
    on the input."""
    net = mobilenet_v2()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        net.train()(torch.randn(16, 3, 224, 224))
    return net.eval()


def _export_pte(net: nn.Module, examples: tuple[torch.Tensor, ...], folder: Path, recipes: Sequence[str]) -> None:
    from edgekit.pipeline.exporters.executorch import lower, quantize
    from edgekit.pipeline.recipes.fold_pads import fold_pads
    from edgekit.pipeline.recipes.pooling import rewrite_pools
    from edgekit.pipeline.recipes.xnnpack import StaticQuantizer
    from edgekit.recipes import RECIPES

    for recipe in recipes:
        module = torch.export.export(net, examples).module()
        fold_pads(module)
        rewrite_pools(module)
        if recipe == "int8":
            module = quantize(
                module, StaticQuantizer(RECIPES["int8"]), [(torch.randn(1, 3, 224, 224),) for _ in range(4)]
            )
        (folder / f"mobilenet-{recipe}.pte").write_bytes(lower(module, examples))


def _export_tflite(net: nn.Module, folder: Path) -> None:
    import litert_torch

    from edgekit.pipeline.exporters.litert import quantize

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = net
            self.training = False

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"output": self.model(image)}

    base, samples = folder / "mobilenet-fp32.tflite", folder / "samples.npz"
    litert_torch.convert(Named(), sample_kwargs={"image": torch.zeros(1, 3, 224, 224)}).export(str(base))
    np.savez(samples, image=np.random.default_rng(0).standard_normal((4, 3, 224, 224), np.float32))
    quantize(base=str(base), recipe="int8", calibration=str(samples), output=str(folder / "mobilenet-int8.tflite"))
