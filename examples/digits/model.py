"""A small depthwise-separable network: 9,034 parameters, 3x3 kernels and ReLU6 throughout."""

from __future__ import annotations

from torch import nn


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution, then a pointwise one."""
    return nn.Sequential(convolution(inputs, inputs, stride=stride, groups=inputs), convolution(inputs, outputs, 1))


def build() -> nn.Module:
    """Images of 1x28x28 in, ten scores out."""
    return nn.Sequential(
        convolution(1, 16, stride=2),
        separable(16, 32, stride=2),
        separable(32, 64),
        separable(64, 64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
