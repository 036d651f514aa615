"""A project with buckets: a causal convolution over steps, which padding behind a sequence does not reach."""

from __future__ import annotations

from pathlib import Path

TOML = """\
[project]
name = "steps"

[model]
framework = "torch"
factory = "model.py:build"

[model.buckets]
batch = [4]
length = [8, 16]
axis = { x = 1 }
pad = 0

[data]
evaluation = "data.py:evaluation"
calibration = "data.py:evaluation"
"""

MODEL = """\
import torch
from torch import nn


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(6, 128, 3), nn.Conv1d(128, 128, 3)
        self.scores = nn.Linear(128, 4)

    def forward(self, x):
        hidden = x.transpose(1, 2)
        for layer in (self.first, self.second):
            hidden = torch.relu(layer(nn.functional.pad(hidden, (2, 0))))
        return {"steps": self.scores(hidden.transpose(1, 2)), "start": x[:, 0, :2] + 1}


def build():
    torch.manual_seed(0)
    return Steps()
"""

DATA = """\
import numpy as np


def evaluation():
    return {"x": np.random.default_rng(0).normal(size=(24, 16, 6)).astype(np.float32)}
"""


def write_bucket_project(folder: Path, toml: str = TOML, model: str = MODEL) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("edgekit.toml", toml), ("model.py", model), ("data.py", DATA)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder
