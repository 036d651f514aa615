"""A small real project for tests: a convolutional network with fixed weights on digits, built in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

DIGITS = Path(__file__).parent.parent.parent / "examples" / "digits" / "digits.npz"

TOML = """\
[project]
name = "small"
requires = []

[model]
framework = "torch"
factory = "model.py:build"

[data]
train = "data.py:train"
evaluation = "data.py:evaluation"
calibration = { from = "train", samples = 32 }
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]

[preprocessing]
scale = 0.00392156862745098
mean = [0.13]
std = [0.31]
layout = "channels-first"

[metric]
name = "accuracy"

[build]
recipes = ["fp32", "int8"]
formats = ["tflite", "pte"]

[limits]
max_drop = 100.0
"""

MODEL = """\
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU6(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
"""

DATA = """\
from pathlib import Path

import numpy as np


def load(part):
    digits = np.load(Path(__file__).parent / "digits.npz")
    chosen = np.random.default_rng(0).permutation(len(digits["y"]))[part]
    return digits["x"][chosen], digits["y"][chosen]


def train():
    return load(slice(0, 256))


def evaluation():
    return load(slice(256, 320))
"""

#: To be put into `TOML` before ``[metric]``.
TRAINING = """\
[training]
epochs = 3
batch_size = 32
learning_rate = 0.01

"""


def write_project(folder: Path, toml: str = TOML, model: str = MODEL, data: str = DATA) -> Path:
    """The project in *folder*, which may have been there before."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "edgekit.toml").write_text(toml)
    (folder / "model.py").write_text(model)
    (folder / "data.py").write_text(data)
    shutil.copyfile(DIGITS, folder / "digits.npz")
    return folder
