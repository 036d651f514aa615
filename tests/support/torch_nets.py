"""Small PyTorch networks whose outputs depend on their input, as factories for `SourceSpec`, and runs of exports.

Weights are seeded; batch norm is calibrated on random data, without which deep random networks give constants.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekit.fidelity import snr_db
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.torch import TorchSource, open_source
from edgekit.runtime.engines import open_session
from edgekit.tensors import TensorSpec

INPUTS = {
    "clamped": TensorSpec("image", (1, 3, 24, 24), "float32"),
    "padded": TensorSpec("image", (1, 3, 25, 25), "float32"),
    "wave": TensorSpec("wave", (1, 6, 96), "float32"),
    "dense": TensorSpec("x", (1, 32), "float32"),
    "detector": TensorSpec("image", (1, 3, 48, 48), "float32"),
    "soft": TensorSpec("image", (1, 3, 12, 12), "float32"),
    "causal": TensorSpec("x", (1, 6, 8), "float32"),
    "pyramid": TensorSpec("image", (1, 3, 32, 32), "float32"),
}
_ENGINES = {"tflite": "litert", "pte": "executorch", "ptl": "pytorch-mobile", "onnx": "onnxruntime", "pt2": "torch"}


def clamped() -> nn.Module:
    """ReLU6 that cuts off most of what convolutions give: int8 that spans what is before the clamp is lost."""
    torch.manual_seed(0)
    net = nn.Sequential(*_block(3, 16, 3), *_block(16, 16, 3, groups=16), *_block(16, 24, 1), Head(24))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.mul_(12)
    return _calibrated(net, "clamped")


def padded() -> nn.Module:
    """Explicit pads before strided depthwise convolutions, as in models ported from TensorFlow."""
    torch.manual_seed(0)
    return _calibrated(
        nn.Sequential(
            nn.ZeroPad2d(1), *_block(3, 16, 3, padding=0),
            nn.ZeroPad2d((0, 1, 0, 1)), *_block(16, 16, 3, stride=2, groups=16, padding=0), *_block(16, 24, 1),
            nn.ZeroPad2d((1, 2, 1, 2)), *_block(24, 24, 5, stride=2, groups=24, padding=0), Head(24),
        ),
        "padded",
    )  # fmt: skip


def wave() -> nn.Module:
    """A 1-D network."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(6, 16, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
        nn.Conv1d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 1, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip
    return _calibrated(net, "wave")


def dense() -> nn.Module:
    """Linear layers only."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10)).eval()


def soft() -> nn.Module:
    """Activations of which a part is outside of XNNPACK."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Softplus(), nn.Conv2d(8, 2, 1), nn.LogSigmoid()).eval()


def causal() -> nn.Module:
    """Attention to what is in front alone."""
    torch.manual_seed(0)
    return Causal().eval()


def pyramid() -> nn.Module:
    """One head on three levels, whose values differ in size."""
    torch.manual_seed(1)
    return Pyramid().eval()


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(channels, 16, 3, stride=2) for channels in (3, 16, 16))
        self.head = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 6, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for level in self.levels:
            x = level(x).relu()
            found.append(self.head(x).flatten(2))
        return torch.cat(found, 2)


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(6, 6, dtype=torch.bool).triu(1)
        return self.attention(x, 3 * x, x, attn_mask=mask, need_weights=False)[0]


def detector() -> nn.Module:
    """Boxes in pixels beside scores between 0 and 1, in one output."""
    torch.manual_seed(0)
    return _calibrated(Detector(), "detector")


class Detector(nn.Module):
    """Four values in pixels and three scores, of 36 anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(3, 16, 3, stride=2), *_block(16, 24, 3, stride=2), *_block(24, 24, 3, stride=2)
        )
        self.box, self.score = nn.Conv2d(24, 4, 1), nn.Conv2d(24, 3, 1)
        self.register_buffer(
            "centre", torch.cartesian_prod(torch.arange(6), torch.arange(6)).T.reshape(1, 2, 36) * 53.0
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.body(image)
        box, score = self.box(features).flatten(2), self.score(features).flatten(2)
        size = torch.exp(box[:, 2:].clamp(-2, 2)) * 40
        return torch.cat([self.centre + box[:, :2] * 20, size, (score - 3).sigmoid()], 1)


class Head(nn.Module):
    """Global average and a linear layer."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc = nn.Linear(channels, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.fc(image.mean((2, 3)))


def _block(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, padding: int | None = None
) -> list[nn.Module]:
    padding = kernel // 2 if padding is None else padding
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]


def _calibrated(net: nn.Module, name: str) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = None
    with torch.no_grad():
        net.train()(torch.randn(64, *INPUTS[name].shape[1:], generator=generator))
    return net.eval()


def samples(name: str, count: int = 16, seed: int = 1) -> np.ndarray:
    """Random inputs, each of its own brightness, so that outputs differ from sample to sample."""
    generator = np.random.default_rng(seed)
    shape = (count, *INPUTS[name].shape[1:])
    level = generator.uniform(-1, 1, (count, *[1] * (len(shape) - 1)))
    return (generator.standard_normal(shape) + level).astype(np.float32)


@dataclass
class Nets:
    """The networks as source specs, with calibration files in *directory*, and runs of what is exported from them."""

    directory: Path
    _sources: dict[str, TorchSource] = field(default_factory=dict)

    def spec(self, name: str) -> dict[str, Any]:
        return SourceSpec("torch", __file__, name, inputs=(INPUTS[name],)).to_json()

    def source(self, name: str) -> TorchSource:
        if name not in self._sources:
            self._sources[name] = open_source(SourceSpec.from_json(self.spec(name)))
        return self._sources[name]

    def calibration(self, name: str) -> str:
        path = self.directory / f"{name}.npz"
        np.savez(path, **{INPUTS[name].name: samples(name, 32, seed=2)})
        return str(path)

    def run(self, name: str, path: Path | str) -> np.ndarray:
        """Outputs of the exported file at *path* on `samples`, by its real engine."""
        path = Path(path)
        format = path.suffix[1:]
        session = open_session(_ENGINES[format], path.read_bytes(), format, self.source(name).signature, 1)
        try:
            return np.concatenate([session.run([sample[None]])[0].copy() for sample in samples(name)])
        finally:
            session.close()

    def reference(self, name: str) -> np.ndarray:
        (output,) = self.source(name).predict({INPUTS[name].name: samples(name)}).values()
        assert (output.std(axis=0) > 0.01 * np.abs(output).mean(axis=0)).all(), "the reference must depend on its input"
        return output

    def snr(self, name: str, path: Path | str) -> float:
        return snr_db(self.reference(name), self.run(name, path))
