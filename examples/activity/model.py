"""A one-dimensional convolutional network: about 30,000 parameters."""

from __future__ import annotations

from torch import nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
    )


def build() -> nn.Module:
    """Windows of 6x100 in, seven scores out."""
    return nn.Sequential(
        convolution(6, 32, 7, 2),
        convolution(32, 48, 5, 2),
        convolution(48, 64, 5, 2),
        convolution(64, 64, 1, 1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64, 7),
    )
