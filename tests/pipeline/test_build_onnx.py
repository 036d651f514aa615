"""``edgekit build model.onnx``: from the file to both formats, and what is said of files that leave sizes open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support import onnx_models
from support.onnx_models import model_of

import edgekit
from edgekit.cli.main import run


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2, 1)
        )
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).relu().mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture
def open_file(tmp_path: Path) -> Path:
    """A network whose batch, height and width are open."""
    torch.manual_seed(0)
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    return onnx_models.export(
        Net().eval(), torch.randn(1, 3, 16, 16), tmp_path / "net.onnx", new=False, dynamic_axes=axes
    )


@pytest.mark.slow
def test_both_formats_are_built_and_checked(open_file: Path) -> None:
    samples = np.random.default_rng(0).standard_normal((24, 3, 16, 16)).astype(np.float32)
    np.save(open_file.with_name("samples.npy"), samples)
    with edgekit.build(
        open_file, target="rpi4", recipes=["fp32", "int8"], calibration=open_file.with_name("samples.npy")
    ) as bundle:
        found = {variant.name: variant for variant in bundle.manifest.variants}
        assert found.keys() == {"fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte"}
        assert all(found[name].snr_db > 90 for name in ("fp32.tflite", "fp32.pte"))
        assert all(found[name].snr_db > 15 for name in ("int8.tflite", "int8.pte"))
        assert all(variant.delegated_share == 100 for variant in found.values())
        (given,), (made,) = bundle.manifest.signature.inputs, bundle.manifest.signature.outputs
        assert (given.name, given.shape, made.name, made.shape) == ("x", (1, 3, 16, 16), "y", (1, 4))
        expected = onnx_models.run(onnx.load(open_file), {"x": samples[:1]})[0]
    model = edgekit.load(open_file.parent / "build" / "net-rpi4.edgekit", variant="fp32.tflite")
    np.testing.assert_allclose(model(samples[:1]), expected, atol=1e-5)


@pytest.mark.builds
def test_open_sizes_are_asked_for(open_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["build", str(open_file), "--target", "rpi4"]) == 2
    said = capsys.readouterr().err
    assert "error: net.onnx's input 'x' leaves sizes open: [n, 3, h, w] [EK-SOURCE]" in said
    assert " hint: give them: --shape x=1,3,224,224" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shape", "x=0,3"], "--shape x=0,3 has no values"),
        (["--constant", "rate="], "--constant 'rate=' is no constant"),
        (["--constant", "16000"], "--constant '16000' is no constant"),
        (["--constant", "rate=nan"], "--constant 'rate=nan' is no constant"),
    ],
)
def test_options_are_checked_first(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_of([onnx.helper.make_node("Relu", ["x"], ["y"])], {"x": ("float32", [1, 3])}, ["y"])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert run(["build", str(tmp_path / "m.onnx"), "--target", "rpi4", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_other_files_keep_their_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.keras").write_bytes(b"")
    assert run(["build", str(tmp_path / "m.keras"), "--target", "rpi4", "--constant", "x=1"]) == 2
    assert "--constant is for .onnx files, not for a Keras model" in capsys.readouterr().err
