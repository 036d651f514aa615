"""Keras' MobileNetV2 as ``.pte``, beside the same network written in PyTorch: bytes, delegates and time of the files.

Run with ``pytest -s -n 0 tests/benchmarks/test_keras_as_native.py``; some minutes for each recipe.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.pipeline.exporters import executorch
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.runtime.contents import pte
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec

_SIZE, _CLASSES, _ROUNDS = 160, 1000, 200
_INPUT = TensorSpec("image", (1, 3, _SIZE, _SIZE), "float32")
_BYTES, _TIME = 1.02, 1.05
#: Expansion, channels, blocks and the stride of the first: table 2 of https://arxiv.org/abs/1801.04381
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int, expansion: int):
        super().__init__()
        wide = inside * expansion
        widen = _unit(inside, wide, 1) if expansion > 1 else []
        deep = _unit(wide, wide, 3, stride, wide)
        self.body = nn.Sequential(*widen, *deep, nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.adds = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def _unit(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outside), nn.ReLU6()]


def make() -> nn.Module:
    torch.manual_seed(0)
    layers, inside = _unit(3, 32, 3, 2), 32
    for expansion, outside, count, stride in _STAGES:
        for number in range(count):
            layers.append(_Residual(inside, outside, 1 if number else stride, expansion))
            inside = outside
    layers += [*_unit(inside, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, _CLASSES)]
    return nn.Sequential(*layers).eval()


@dataclass(frozen=True)
class _File:
    data: bytes
    signature: Signature


@pytest.mark.parametrize("recipe", ["fp32", "int8"])
def test_the_way_from_keras_costs_nothing(recipe: str, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    options = {"weights": None, "classes": _CLASSES, "classifier_activation": None}
    keras.applications.MobileNetV2((_SIZE, _SIZE, 3), **options).save(tmp_path / "model.keras")
    files = {
        "native": _export(SourceSpec("torch", __file__, "make", inputs=(_INPUT,)), recipe, tmp_path),
        "keras": _export(SourceSpec("keras", str(tmp_path / "model.keras")), recipe, tmp_path),
    }
    sizes = {name: len(file.data) for name, file in files.items()}
    parts = {name: len(pte.read(file.data).parts) for name, file in files.items()}
    times = _interleaved(files)
    ratio = statistics.median(one / other for one, other in zip(times["keras"], times["native"], strict=True))
    print(
        f"\n{recipe}: {sizes['keras']} bytes to {sizes['native']} ({sizes['keras'] / sizes['native']:.4f}), "
        f"{parts['keras']} delegates to {parts['native']}, {ratio:.4f} of the time "
        f"({statistics.median(times['native']):.3f} ms)"
    )
    assert sizes["keras"] <= _BYTES * sizes["native"]
    assert parts["keras"] == parts["native"]
    assert ratio <= _TIME


def _interleaved(files: dict[str, _File]) -> dict[str, list[float]]:
    """Milliseconds of processor time, round by round."""
    sessions = {name: open_session("executorch", file.data, "pte", file.signature, 1) for name, file in files.items()}
    draw = np.random.default_rng(1)
    samples = {
        name: draw.standard_normal(file.signature.inputs[0].shape).astype(np.float32) for name, file in files.items()
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(_ROUNDS):
        for name in sorted(sessions, reverse=bool(number % 2)):
            began = time.process_time_ns()
            sessions[name].run([samples[name]])
            times[name].append((time.process_time_ns() - began) / 1e6)
    return times


def _export(spec: SourceSpec, recipe: str, folder: Path) -> _File:
    source = open_source(spec)
    (taken,) = source.signature.inputs
    path, calibration = folder / f"{spec.kind}.pte", folder / f"{spec.kind}.npz"
    images = np.random.default_rng(0).standard_normal((8, *taken.shape[1:])).astype(np.float32)
    np.savez(calibration, **{taken.name: images})
    given = str(calibration) if recipe == "int8" else None
    executorch.export(source=spec.to_json(), recipe=recipe, calibration=given, output=str(path))
    return _File(path.read_bytes(), source.signature)
