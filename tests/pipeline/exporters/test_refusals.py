"""What a converter, a quantizer or an engine cannot do is one line, the same for every recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.subprocesses import call

from edgekit.errors import EdgekitError
from edgekit.pipeline.build import run_build

pytestmark = pytest.mark.slow

_NETS = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def sums():
    return Net(lambda x: torch.cumsum(x, -1))


def magnitudes():
    return Net(torch.abs)


def upsampled():
    torch.manual_seed(0)
    larger = nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2)
    return nn.Sequential(nn.Unflatten(1, (5, 2, 2)), nn.Conv2d(5, 8, 1), nn.ReLU(), larger, nn.Conv2d(4, 2, 1))


def largest():
    return Net(lambda x: torch.topk(x.repeat(1, 60), 5).values)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets")
    (path / "net.py").write_text(_NETS)
    np.save(path / "samples.npy", np.random.default_rng(0).normal(size=(64, 20)).astype(np.float32))
    return path


def errors(folder: Path, source: str, format: str = "tflite") -> dict[str, EdgekitError | None]:
    """How each recipe's file fails."""
    calibration = str(folder / "samples.npy")
    result = run_build(
        str(folder / source), target="rpi4", formats=[format], calibration=calibration, out=folder / "out"
    )
    return {row.plan.recipe.name: row.error for row in result.rows}


@pytest.mark.parametrize("factory", ["sums", "magnitudes"])
def test_a_model_without_anything_to_quantize(folder: Path, factory: str) -> None:
    found = errors(folder, f"net.py:{factory}")
    assert found["fp32"] is found["fp16"] is None
    assert found["int8"] is not None and found["int8"].code == "EK-QUALITY"
    assert found["int8"].message == "int8 changes nothing here: it quantizes no operator of this model"


def test_an_operator_that_the_engine_has_no_kernel_for(folder: Path) -> None:
    found = errors(folder, "net.py:largest")
    (message,) = {error and error.message for error in found.values()}
    assert message is not None and message.startswith("LiteRT has no kernel for this SORT (net.py:")
    assert message.endswith("return self.function(x))")


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_transposed_convolutions_are_taken_by_every_recipe(folder: Path, format: str) -> None:
    """XNNPACK takes half-precision weights of the others alone, and none of these."""
    assert set(errors(folder, "net.py:upsampled", format).values()) == {None}


def test_operators_of_tensorflow_alone(folder: Path) -> None:
    call("support.keras_exports:save_fourier", backend="tensorflow", directory=str(folder))
    assert {error and error.message for error in errors(folder, "fourier").values()} == {
        "LiteRT has no kernel for Complex, FFT2D"
    }
