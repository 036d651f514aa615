"""A network of two inputs and two outputs, of several types, for the baseline formats; a factory for `SourceSpec`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekit.pipeline.exporters import exported_program, onnx
from edgekit.pipeline.sources import SourceSpec
from edgekit.tensors import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("left", (1, 4), "float32"), TensorSpec("index", (1, 3), "int64")),
    (TensorSpec("output_0", (1, 4), "float32"), TensorSpec("output_1", (1,), "int64")),
)
SPEC = SourceSpec("torch", __file__, "lookup", inputs=SIGNATURE.inputs)
EXPORTERS = {"onnx": onnx.export, "pt2": exported_program.export}


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.first = nn.Embedding(10, 4), nn.Linear(4, 4)

    def forward(self, left: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed = torch.tanh(self.first(left) + self.table(index).sum(1))
        return mixed, mixed.argmax(1)


def lookup() -> nn.Module:
    torch.manual_seed(0)
    return Lookup().eval()


def export(format: str, path: Path) -> bytes:
    """The network as a file of *format*, left at *path*."""
    EXPORTERS[format](source=SPEC.to_json(), output=str(path))
    return path.read_bytes()


def samples(count: int = 8) -> list[list[np.ndarray]]:
    draw = np.random.default_rng(0)
    return [
        [draw.standard_normal((1, 4)).astype(np.float32), draw.integers(0, 10, (1, 3), np.int64)] for _ in range(count)
    ]


def expected(inputs: list[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        return [output.numpy() for output in lookup()(*map(torch.from_numpy, inputs))]


class WithoutGradients(nn.Module):
    """Computes under no_grad of its own, as published models do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Lookup()

    def forward(self, left: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            return self.inner(left, index)


def without_gradients() -> nn.Module:
    return WithoutGradients().eval()
