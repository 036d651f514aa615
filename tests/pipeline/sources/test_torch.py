"""PyTorch models opened as sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import TensorSpec

MODELS = """\
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, image, scale=None, extra=None):
        x = self.norm(self.left(image) + self.right(extra))
        return {"scores": x, "more": (x.sum(1, keepdim=True), x * 2)}

class Single(nn.Module):
    "Holds its batch size, and mixes samples without a word when given more."
    def forward(self, x):
        return x.reshape(-1, 4).mean(0, keepdim=True).expand(len(x), 4)

def two(): return Two()
def single(): return Single()
def pair(): return nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.9))
def half(): return nn.Linear(4, 2).half()
def number(): return 7
def lazy(): return nn.LazyLinear(2)
def quantized(): return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(4, 2), nn.Linear(2, 2)))
class Normalises(nn.Module):
    def forward(self, x): return nn.functional.batch_norm(x, None, None, training=True)
class Looks(nn.Module):
    def forward(self, x): return nn.functional.embedding(x.long() + 40, torch.ones(10, 2))
def meta(): return nn.Linear(4, 2, device="meta")
model = nn.Linear(4, 2)
def keras_model():
    class Model(nn.Module): __module__ = "keras.src.models"
    return Model()
def raises():
    return helper()
def helper():
    raise ValueError("no such luck")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "models.py"
    file.write_text(MODELS)
    return file


def floats(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, (1, *shape), "float32")


def rows(count: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


def caught(spec: SourceSpec) -> UsageError:
    with pytest.raises(UsageError) as error:
        open_source(spec)
    assert "\n" not in error.value.message
    return error.value


def test_inputs_follow_forward_and_outputs_are_named(path: Path) -> None:
    source = open_source(SourceSpec("torch", str(path), "two", inputs=(floats("extra", 2), floats("image", 4))))
    assert [spec.name for spec in source.signature.inputs] == ["image", "extra"]
    assert [spec.name for spec in source.signature.outputs] == ["scores", "more_0", "more_1"]
    assert [spec.shape for spec in source.signature.outputs] == [(1, 3), (1, 1), (1, 3)]
    assert source.parameter_count == 4 * 3 + 3 + 2 * 3 + 3 + 3 + 3
    inputs = {"image": rows(70, 4), "extra": rows(70, 2)}
    outputs = source.predict(inputs)
    assert {name: array.shape for name, array in outputs.items()} == {
        "scores": (70, 3),
        "more_0": (70, 1),
        "more_1": (70, 3),
    }
    flat = source.torch_module()(torch.from_numpy(inputs["image"]), torch.from_numpy(inputs["extra"]))
    np.testing.assert_allclose(flat[2].detach().numpy(), outputs["more_1"], rtol=1e-5, atol=1e-6)


def test_it_is_in_evaluation_mode_and_float32(path: Path) -> None:
    source = open_source(SourceSpec("torch", str(path), "pair", inputs=(floats("input", 4),)))
    outputs = source.predict({"input": rows(5, 4)})["output"]
    np.testing.assert_array_equal(outputs, source.predict({"input": rows(5, 4)})["output"])
    assert np.count_nonzero(outputs) == outputs.size
    half = open_source(SourceSpec("torch", str(path), "half", inputs=(floats("input", 4),)))
    assert half.signature.outputs[0].dtype == "float32"


def test_a_model_that_mixes_samples_gets_them_one_by_one(path: Path) -> None:
    source = open_source(SourceSpec("torch", str(path), "single", inputs=(floats("x", 4),)))
    samples = rows(3, 4)
    np.testing.assert_array_equal(source.predict({"x": samples})["output"], samples)


def test_weights_are_loaded_and_judged(path: Path, tmp_path: Path) -> None:
    inputs = (floats("input", 4),)
    file = tmp_path / "weights.pt"
    state = {"0.weight": torch.ones(2, 4), "0.bias": torch.zeros(2)}
    torch.save(state, file)
    source = open_source(SourceSpec("torch", str(path), "pair", str(file), inputs))
    np.testing.assert_allclose(source.predict({"input": np.ones((1, 4), np.float32)})["output"], [[4, 4]])
    for wrong, words in (
        ({"0.weight": torch.ones(2, 5), "0.bias": torch.zeros(2)}, "0.weight is [2, 5], the model's is [2, 4]"),
        ({"0.weight": torch.ones(2, 4)}, "0.bias is missing"),
        ({**state, "1.weight": torch.ones(1)}, "1.weight is unknown"),
        ({**state, "0.bias": torch.tensor([float("nan"), 0])}, "NaN"),
        ([1, 2], "not a state_dict"),
    ):
        torch.save(wrong, file)
        error = caught(SourceSpec("torch", str(path), "pair", str(file), inputs))
        assert (error.code, words in error.message) == ("EK-CHECKPOINT", True), error.message
    file.write_bytes(file.read_bytes()[:300])
    assert caught(SourceSpec("torch", str(path), "pair", str(file), inputs)).code == "EK-CHECKPOINT"


def test_what_the_projects_python_does_wrong_is_said_in_one_line(path: Path) -> None:
    inputs = (floats("input", 4),)
    line = MODELS.splitlines().index('    raise ValueError("no such luck")') + 1
    error = caught(SourceSpec("torch", str(path), "raises", inputs=inputs))
    assert error.message == f"models.py:{line}: ValueError: no such luck"
    error = caught(SourceSpec("torch", str(path), "number", inputs=inputs))
    assert (error.code, "returned int" in error.message) == ("EK-CODE", True)
    error = caught(SourceSpec("torch", str(path), "keras_model", inputs=inputs))
    assert (error.code, "returned a Keras model" in error.message) == ("EK-CODE", True)
    for factory, code, message in (
        ("lazy", "EK-CODE", "weight has no size yet: a lazy layer waits for an input"),
        ("meta", "EK-CODE", "weight is on the device 'meta', and has no values"),
        ("model", "EK-CODE", "models.py:model is a model, not a function that makes one"),
        ("Normalises", "EK-SOURCE", "Expected more than 1 value per channel when training"),
        ("Looks", "EK-SOURCE", "index out of range"),
        ("quantized", "EK-SOURCE", "the model is quantized already: '0' is torch.ao.nn.quantized.dynamic"),
    ):
        error = caught(SourceSpec("torch", str(path), factory, inputs=inputs))
        assert (error.code, message in error.message, bool(error.hint)) == (code, True, True)
        assert "layout" not in str(error.hint)
    error = caught(SourceSpec("torch", str(path), "pair", inputs=(floats("input", 5),)))
    assert (error.code, "input: float32[1, 5]" in error.message) == ("EK-SOURCE", True)
    error = caught(SourceSpec("torch", str(path), "pair"))
    assert (error.code, "--calibration" in str(error.hint)) == ("EK-SOURCE", True)


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_exported_program_brings_its_inputs(tmp_path: Path, dynamic: bool) -> None:
    file = tmp_path / "model.pt2"
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU6()).eval()
    shapes = ({0: torch.export.Dim("batch", min=1)},) if dynamic else None
    program = torch.export.export(module, (torch.randn(3 if dynamic else 1, 4),), dynamic_shapes=shapes)
    torch.export.save(program, file)
    source = open_source(SourceSpec("pt2", str(file)))
    assert source.signature.inputs == (floats("input", 4),)
    assert source.parameter_count == 15
    samples = rows(70, 4)
    expected = module(torch.from_numpy(samples)).detach().numpy()
    np.testing.assert_allclose(source.predict({"input": samples})["output"], expected, rtol=1e-5, atol=1e-6)
    torch.export.export(source.torch_module(), (torch.randn(1, 4),))


def test_a_file_that_is_no_exported_program_is_said(tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    assert caught(SourceSpec("pt2", str(file))).code == "EK-SOURCE"
    file.write_bytes(b"not a model")
    assert caught(SourceSpec("pt2", str(file))).code == "EK-SOURCE"
    torch.save({"a": torch.ones(1)}, file)
    error = caught(SourceSpec("pt2", str(file)))
    assert error.code == "EK-CONTENTS" and "torch.save()" in error.message
