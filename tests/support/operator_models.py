"""Model files for traces: one net with operators that XNNPACK does not take between layers that it does, in both
formats; exported by the real converters.

Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.tensors import Signature, TensorSpec

#: Of ``mixed.*``: linear, cumulative sum, linear, top 8, linear. The net's class is called ``Mixed``.
MIXED = Signature(
    (TensorSpec("x", (1, 64), "float32"),), (TensorSpec("y", (1, 8), "float32"), TensorSpec("places", (1, 8), "int64"))
)
MIXED_INPUTS = [np.linspace(0, 1, 64, dtype=np.float32)[None]]
#: Of ``convolutions.tflite``: three convolutions and a linear layer, all delegated.
CONVOLUTIONS = Signature((TensorSpec("x", (1, 3, 32, 32), "float32"),), (TensorSpec("y", (1, 5), "float32"),))
CONVOLUTIONS_INPUTS = [np.random.default_rng(0).standard_normal((1, 3, 32, 32), np.float32)]


def build_operator_models(folder: Path) -> None:
    import torch
    from small_models import _pte, _tflite
    from torch import nn

    class Mixed(nn.Module):
        __module__, __qualname__ = "nets", "Mixed"

        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow, self.last = nn.Linear(64, 512), nn.Linear(512, 32), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            values, places = torch.topk(self.narrow(torch.cumsum(torch.relu(self.wide(x)), 1)), 8)
            return self.last(values), places

    torch.manual_seed(0)
    mixed, example = Mixed().eval(), (torch.rand(1, 64),)
    (folder / "mixed.pte").write_bytes(_pte(mixed, example, delegate=True))
    (folder / "mixed.tflite").write_bytes(_tflite(mixed, example))
    convolutions = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Conv2d(16, 32, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 5),
    ).eval()
    (folder / "convolutions.tflite").write_bytes(_tflite(convolutions, (torch.rand(1, 3, 32, 32),)))
