"""Networks of all kinds whose ``.ncnn`` files are read, run and damaged, with inputs for each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.pipeline.exporters.ncnn import convert
from edgekit.tensors import Signature, TensorSpec


class Function(nn.Module):
    """A function of modules and inputs as a module."""

    def __init__(self, function: Callable[..., object], *parts: nn.Module):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*self.parts, *inputs)


def _joined(down: nn.Module, side: nn.Module, up: nn.Module, x: Tensor) -> Tensor:
    small = functional.interpolate(down(functional.max_pool2d(x, 2)), scale_factor=2, mode="bilinear")
    return up(torch.cat([small, side(x)], 1))


def _squeezed(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return x * second(functional.relu(first(functional.adaptive_avg_pool2d(x, 1)))).sigmoid()


def _patches(embed: nn.Module, encoder: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
    return head(encoder(embed(x).flatten(2).transpose(1, 2)).mean(1))


def _cut(conv: nn.Module, x: Tensor) -> Tensor:
    y = conv(x)
    first, second = y.chunk(2, 1)
    return torch.cat([y[:, :2, 1:9], y[:, 2:, -8:], (first * second)[:, :, :8]], 1)


_IMAGE, _WAVE, _SEQUENCE = (1, 3, 16, 16), (1, 6, 40), (1, 10, 16)
#: The network by name, and the shapes of its inputs.
NETS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "image": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.SiLU(),
            nn.Conv2d(8, 33, 1), nn.AvgPool2d(3, 2, 1), nn.Flatten(), nn.Linear(528, 10), nn.Softmax(1),
        ),
        (_IMAGE,),
    ),
    "wave": (
        lambda: nn.Sequential(
            nn.Conv1d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(16, 16, 3, groups=16), nn.GELU(),
            nn.ConvTranspose1d(16, 4, 4, stride=2, padding=1), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3),
        ),
        (_WAVE,),
    ),
    "dense": (lambda: nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.BatchNorm1d(9), nn.Linear(9, 2)), ((1, 7),)),
    "two in": (
        lambda: Function(lambda a, b, x, z: a(x) * b(z)[:, :, None, None], nn.Conv2d(3, 8, 3), nn.Linear(5, 8)),
        (_IMAGE, (1, 5)),
    ),
    "two out": (
        lambda: Function(lambda a, b, x: (y := a(x), b(y).mean((2, 3))), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)),
        (_IMAGE,),
    ),
    "lstm": (lambda: Function(lambda a, b, x: b(a(x)[0][:, -1]), nn.LSTM(6, 8, 2, batch_first=True), nn.Linear(8, 3)),
             ((1, 12, 6),)),
    "gru": (lambda: Function(lambda a, x: a(x)[0], nn.GRU(6, 8, batch_first=True, bidirectional=True)), ((1, 12, 6),)),
    "transformer": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True), (_SEQUENCE,)),
    "patches": (
        lambda: Function(
            _patches, nn.Conv2d(3, 16, 4, 4), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 5)
        ),
        (_IMAGE,),
    ),
    "heads": (lambda: Function(lambda x: functional.scaled_dot_product_attention(x, x, x)), ((1, 4, 10, 16),)),
    "joined": (
        lambda: Function(
            _joined, nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding="same"),
            nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1),
        ),
        (_IMAGE,),
    ),
    "squeezed": (lambda: Function(_squeezed, nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 1)), (_IMAGE,)),
    "cut": (lambda: Function(_cut, nn.Conv2d(3, 4, 3)), (_IMAGE,)),
    "rolled": (lambda: Function(lambda x: torch.roll(x, 1, 2)), (_IMAGE,)),
    "padded": (
        lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 3, 4)), nn.Conv2d(3, 4, 3), nn.ReflectionPad2d((2, 1, 1, 2))),
        (_IMAGE,),
    ),
    "norms": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8), nn.Hardswish(),
            nn.ELU(), nn.Mish(), nn.LeakyReLU(0.1), nn.Softplus(), nn.Hardsigmoid(),
        ),
        (_IMAGE,),
    ),
    "channels last": (
        lambda: Function(
            lambda a, b, c, x: c(b(a(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2),
            nn.Conv2d(3, 8, 3), nn.LayerNorm(8), nn.Linear(8, 8),
        ),
        (_IMAGE,),
    ),
    "shuffled": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.ChannelShuffle(2)), (_IMAGE,)),
    "pooled": (
        lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.AdaptiveAvgPool2d(2)),
        (_IMAGE,),
    ),
    "reduced": (
        lambda: Function(lambda x: (x.amax(1), x.sum((2, 3), keepdim=True), x.mean(-1), torch.norm(x, dim=1))),
        (_IMAGE,),
    ),
    "arithmetic": (
        lambda: Function(lambda x: (2 / x.abs().add(1), torch.maximum(x, x.mean(1, keepdim=True)), x.exp() ** 2)),
        (_IMAGE,),
    ),
    "products": (lambda: Function(lambda x: torch.matmul(x, x.transpose(-1, -2)).softmax(-1)), ((1, 4, 6, 5),)),
    "halves": (lambda: Function(lambda a, x: functional.glu(a(x), 1), nn.Conv2d(3, 8, 3)), (_IMAGE,)),
    "constant": (lambda: Function(lambda a, x: a(x) + torch.arange(14.0), nn.Conv2d(3, 2, 3)), (_IMAGE,)),
}  # fmt: skip


@cache
def net(name: str) -> tuple[nn.Module, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The network called *name*, inputs, and what it gives for them."""
    torch.manual_seed(0)
    make, shapes = NETS[name]
    module, inputs = make().eval(), tuple(torch.randn(shape) for shape in shapes)
    with torch.no_grad():
        given = module(*inputs)
    return module, inputs, given if isinstance(given, tuple) else (given,)


def signature(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Signature:
    """Inputs ``x0``, ``x1``, …, outputs ``y0``, …"""
    sides = (("x", inputs), ("y", outputs))
    return Signature(*(tuple(_spec(f"{stem}{place}", each) for place, each in enumerate(side)) for stem, side in sides))


def _spec(name: str, tensor: Tensor) -> TensorSpec:
    return TensorSpec(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


@cache
def file_of(name: str, *, half: bool = False) -> bytes:
    """Its ``.ncnn`` file."""
    module, inputs, outputs = net(name)
    return convert.converted(module, inputs, signature(inputs, outputs), half=half)
