"""Small random models: heads of any number, kind, range, shape and type, each from its seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import nn

Activation = Literal["none", "relu", "sigmoid", "softmax", "exp", "argmax", "above"]

SAMPLES = 48
_FEATURES = 16
_NAMES = ("scores", "boxes", "output", "labels", "größe", "y.0", "file", "a b", "x", "mask", "p3/box", "0", "_", "Σ")


@dataclass(frozen=True)
class Head:
    """One output: *columns* along *axis* of its shape, each with a range of its own; some of them never move."""

    name: str
    shape: tuple[int, ...]
    axis: int
    ranges: tuple[float, ...]
    offsets: tuple[float, ...]
    still: frozenset[int]
    activation: Activation


class Model(nn.Module):
    """Features of a vector, and heads on them."""

    def __init__(self, heads: tuple[Head, ...], generator: torch.Generator):
        super().__init__()
        self.heads = heads
        self.body = nn.Sequential(nn.Linear(8, _FEATURES), nn.Tanh())
        self.layers = nn.ModuleList(nn.Linear(_FEATURES, int(np.prod(head.shape))) for head in heads)
        for parameter in self.parameters():
            parameter.data.normal_(0, 0.4, generator=generator)
        for head, layer in zip(heads, self.layers, strict=True):
            across = [1] * len(head.shape)
            across[head.axis] = len(head.ranges)
            scale = torch.tensor(head.ranges).reshape(across).expand(head.shape).reshape(-1)
            moving = torch.tensor([float(index not in head.still) for index in range(len(head.ranges))])
            layer.weight.data *= (scale * moving.reshape(across).expand(head.shape).reshape(-1))[:, None]
            layer.bias.data = torch.tensor(head.offsets).reshape(across).expand(head.shape).reshape(-1) * scale

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.body(x)
        found = {}
        for head, layer in zip(self.heads, self.layers, strict=True):
            value, axis = layer(features).reshape(-1, *head.shape), head.axis + 1
            if head.activation == "softmax":
                value = value.softmax(axis)
            elif head.activation == "argmax":
                value = value.argmax(axis)
            elif head.activation == "above":
                value = value > 0
            elif head.activation == "exp":
                value = value.clamp(max=8).exp()
            elif head.activation != "none":
                value = getattr(value, head.activation)()
            found[head.name] = value
        return found


@dataclass(frozen=True)
class Generated:
    """A model and what it gives.

    Attributes:
        outputs: By name, samples first.
        precisely: The same with all arithmetic in double precision: an equally good file's.
    """

    seed: int
    model: Model
    inputs: np.ndarray
    outputs: dict[str, np.ndarray] = field(repr=False)
    precisely: dict[str, np.ndarray] = field(repr=False)

    @property
    def weights(self) -> tuple[int, int]:
        """Values in matrices and in vectors."""
        sizes = [(parameter.dim() > 1, parameter.numel()) for parameter in self.model.parameters()]
        return sum(size for matrix, size in sizes if matrix), sum(size for matrix, size in sizes if not matrix)


def generate(seed: int) -> Generated:
    random = np.random.default_rng(seed)
    names = random.choice(_NAMES, random.integers(1, 4), replace=False)
    model = Model(tuple(_head(str(name), random) for name in names), torch.Generator().manual_seed(seed))
    inputs = random.standard_normal((SAMPLES, 8)).astype(np.float32)
    with torch.no_grad():
        outputs = {name: value.numpy() for name, value in model(torch.from_numpy(inputs)).items()}
        double = model.double()(torch.from_numpy(inputs).double())
        precisely = {name: value.numpy().astype(outputs[name].dtype) for name, value in double.items()}
    return Generated(seed, model.float(), inputs, outputs, precisely)


def _head(name: str, random: np.random.Generator) -> Head:
    rank = int(random.integers(1, 4))
    columns = int(random.integers(1, 8))
    axis = int(random.choice([0, rank - 1]))
    shape = [int(random.integers(2, 6)) for _ in range(rank)]
    shape[axis] = columns
    activation = str(random.choice(["none", "none", "none", "relu", "sigmoid", "softmax", "exp", "argmax", "above"]))
    alike = activation not in ("none", "relu")
    exponents = np.zeros(columns) if alike else random.uniform(-3, 3, columns)
    ranges = tuple(float(3 if alike else 10.0**exponent) for exponent in exponents)
    offsets = tuple(float(offset) for offset in random.uniform(-2, 2, columns))
    still = frozenset(int(index) for index in range(columns) if random.random() < 0.1)
    return Head(name, tuple(shape), axis, ranges, offsets, still, activation)  # type: ignore[arg-type]
