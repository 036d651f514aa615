"""PyTensor graphs as source models, and as modules of PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pytensor")

from edgekit.errors import ConversionError, UsageError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import TensorSpec

MODELS = """\
import numpy as np
import pytensor
import pytensor.tensor as pt

pytensor.config.floatX = "float32"
RANDOM = np.random.default_rng(0)


def shared(*shape, dtype="float32"):
    return pytensor.shared(RANDOM.normal(size=shape).astype(dtype))


def mlp():
    x = pt.matrix("rows")
    hidden = pt.maximum(pt.tanh(x @ shared(8, 16) + shared(16)), -0.5)
    return [x], {"probabilities": pt.special.softmax(hidden @ shared(16, 3), axis=-1), "hidden": hidden.mean(axis=1)}


def pair():
    a, b = pt.matrix("a"), pt.tensor("b", shape=(1, 4), dtype="float32")
    return (a, b), (a @ shared(4, 2), pt.concatenate([b, a], axis=1))


def draws():
    x = pt.matrix("x")
    return x, x + pt.random.normal(size=(1, 8))


def loops():
    x = pt.matrix("x")
    return x, pytensor.scan(lambda row: row * 2, sequences=x, return_updates=False)


def doubles():
    x = pt.matrix("x", dtype="float64")
    return x, x * 2


def mixes():
    x = pt.matrix("x")
    return x, x @ shared(8, 2, dtype="float64")


def lacks():
    return pt.matrix("x"), pt.matrix("y") * 2


def number():
    return 3


def scalar():
    x = pt.matrix("x")
    return x, x.sum()
"""
ROW = (TensorSpec("x", (1, 8), "float32"),)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pytensor") / "models.py"
    path.write_text(MODELS)
    return path


def test_a_graph_computes_the_same_in_python_and_in_torch(path: Path) -> None:
    source = open_source(SourceSpec("pytensor", str(path), "mlp", inputs=ROW))
    assert [each.name for each in source.signature.outputs] == ["probabilities", "hidden"]
    assert source.signature.inputs == ROW and source.parameter_count == 8 * 16 + 16 + 16 * 3
    x = np.random.default_rng(1).normal(size=(3, 8)).astype("f4")
    expected = source.predict({"x": x})
    assert np.allclose(expected["probabilities"].sum(1), 1)
    module = torch.export.export(source.torch_module(), (torch.from_numpy(x[:1]),), strict=False).module()
    for row in range(3):
        found = module(torch.from_numpy(x[row : row + 1]))
        for value, output in zip(found, expected.values(), strict=True):
            np.testing.assert_allclose(value.detach().numpy()[0], output[row], atol=1e-6)


def test_inputs_are_known_by_name(path: Path) -> None:
    inputs = (TensorSpec("b", (1, 4), "float32"), TensorSpec("a", (1, 4), "float32"))
    source = open_source(SourceSpec("pytensor", str(path), "pair", inputs=inputs))
    assert [each.name for each in source.signature.inputs] == ["a", "b"]
    a, b = (np.full((1, 4), value, "f4") for value in (1, 2))
    np.testing.assert_array_equal(source.predict({"a": a, "b": b})["output_1"], [[2] * 4 + [1] * 4])


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("draws", "EK-SOURCE", "draws random numbers"),
        ("loops", "EK-SOURCE", "has a loop (pytensor.scan)"),
        ("doubles", "EK-SOURCE", "input 'x' is float64"),
        ("mixes", "EK-SOURCE", "output 'output' is float64"),
        ("lacks", "EK-SOURCE", "needs the variable y"),
        ("number", "EK-CODE", "returned int"),
        ("scalar", "EK-SOURCE", "has the shape []"),
        ("none", "EK-CODE", "has no function 'none'"),
    ],
)
def test_what_no_file_can_do_is_said_in_one_line(path: Path, name: str, code: str, words: str) -> None:
    with pytest.raises((UsageError, ConversionError)) as caught:
        open_source(SourceSpec("pytensor", str(path), name, inputs=ROW))
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message
    assert caught.value.hint


def test_a_graph_that_says_no_shape_asks_for_it(path: Path) -> None:
    with pytest.raises(UsageError, match="does not say what goes into it"):
        open_source(SourceSpec("pytensor", str(path), "mlp"))


def test_what_a_factory_drew_is_kept(path: Path, tmp_path: Path) -> None:
    made = str(tmp_path / "made.npz")
    x = np.ones((1, 8), "f4")
    first = open_source(SourceSpec("pytensor", str(path), "mlp", inputs=ROW)).predict({"x": x})
    kept = [open_source(SourceSpec("pytensor", str(path), "mlp", inputs=ROW, made=made)) for _ in range(2)]
    one, other = (each.predict({"x": x})["hidden"] for each in kept)
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first["hidden"], one)  # the factory draws on and on
