"""A small network of a picture and a row of numbers, as people write one, and samples for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.row, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, image, row):
        return self.head(torch.relu(self.conv(image)).mean((2, 3)) * torch.sigmoid(self.row(row)))

def make():
    torch.manual_seed(0)
    return Net().eval()
"""


def samples() -> dict[str, np.ndarray]:
    """40 of them."""
    draw = np.random.default_rng(0)
    arrays = {"image": draw.normal(size=(40, 1, 12, 12)), "row": draw.normal(size=(40, 4))}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def write_net(folder: Path, more: str = "") -> None:
    """Write ``net.py``, with *more* code behind it, and ``samples.npz``."""
    (folder / "net.py").write_text(NET + more)
    np.savez(folder / "samples.npz", **samples())
