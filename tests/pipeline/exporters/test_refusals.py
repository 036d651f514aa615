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


def largest():
    return Net(lambda x: torch.topk(x, 5).values)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets")
    (path / "net.py").write_text(_NETS)
    np.save(path / "samples.npy", np.random.default_rng(0).normal(size=(64, 20)).astype(np.float32))
    return path


def errors(folder: Path, source: str) -> dict[str, EdgekitError | None]:
    """How each recipe's ``.tflite`` fails."""
    calibration = str(folder / "samples.npy")
    result = run_build(
        str(folder / source), target="rpi4", formats=["tflite"], calibration=calibration, out=folder / "out"
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
    assert {error and error.message for error in found.values()} == {
        "LiteRT cannot do this SORT: it knows it in one and two dimensions"
    }


def test_operators_of_tensorflow_alone(folder: Path) -> None:
    call("support.keras_exports:save_fourier", backend="tensorflow", directory=str(folder))
    assert {error and error.message for error in errors(folder, "fourier").values()} == {
        "LiteRT has no kernel for Complex, FFT2D"
    }
