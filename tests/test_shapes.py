"""``--shape``: what it says, and what is no shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.project.origin import ModelOptions, find_origin
from edgekit.shapes import parse_inputs, parse_shapes
from edgekit.tensors import TensorSpec


def test_shapes_are_of_one_sample_and_float32_unless_said() -> None:
    assert parse_inputs(["1,3,224,224"], "input") == (TensorSpec("input", (1, 3, 224, 224), "float32"),)
    assert parse_inputs(["x=1,3, 8", "ids=1,16:int64"], "input") == (
        TensorSpec("x", (1, 3, 8), "float32"),
        TensorSpec("ids", (1, 16), "int64"),
    )


def test_sizes_of_open_axes_are_by_name_and_have_no_type() -> None:
    assert parse_shapes(["a=b=2,3", "x=1, 3"]) == {"a=b": (2, 3), "x": (1, 3)}
    assert parse_shapes(["1,3"]) == {"": (1, 3)}
    with pytest.raises(UsageError, match="says a type"):
        parse_shapes(["x=1,3:int64"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["3x224"], "is no shape"),
        (["1,,3"], "is no shape"),
        (["1,-3"], "is no shape"),
        (["=1,3"], "is no shape"),
        (["8,3"], "begins with 8"),
        (["1,0"], "has no values"),
        (["1,99999,99999"], "more than a device could hold"),
        (["1,3:float8"], "there is no type 'float8'"),
        (["1,3", "1,4"], "does not say of which input"),
        (["x=1,3", "x=1,4"], "twice for 'x'"),
    ],
)
def test_what_is_no_shape_is_said(given: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_inputs(given, "input")
    assert caught.value.code == "EK-ARGUMENT"
    assert words in caught.value.message
    assert caught.value.hint


def test_what_has_no_place_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make(): ...\n")
    (tmp_path / "model.pt2").write_bytes(b"PK")
    (tmp_path / "w.pt").write_bytes(b"PK")
    factory, file, weights = f"{tmp_path}/net.py:make", f"{tmp_path}/model.pt2", f"{tmp_path}/w.pt"
    for path, given, code, words in (
        (file, ModelOptions(shapes=("1,3",)), "EK-ARGUMENT", "says it itself"),
        (file, ModelOptions(weights=weights), "EK-ARGUMENT", "holds its weights itself"),
        (file, ModelOptions(framework="torch"), "EK-ARGUMENT", "--framework is for functions"),
        (factory, ModelOptions(framework="teras"), "EK-ARGUMENT", "unknown framework 'teras'"),
        (factory, ModelOptions(weights=f"{tmp_path}/none.pt"), "EK-MISSING-FILE", "there is no file"),
        (factory, ModelOptions(weights=str(tmp_path)), "EK-MISSING-FILE", "there is no file"),
    ):
        with pytest.raises(UsageError) as caught:
            find_origin(path, given)
        assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message
    made = find_origin(factory, ModelOptions(weights=weights, shapes=("1,3",)))
    assert made.source.weights == weights
    assert made.source.inputs == (TensorSpec("input", (1, 3), "float32"),)
    assert made.digest != find_origin(factory, ModelOptions(shapes=("1,3",))).digest


def test_samples_and_shape_agree(tmp_path: Path) -> None:
    import numpy as np

    (tmp_path / "net.py").write_text("def make(): ...\n")
    np.save(tmp_path / "samples.npy", np.zeros((4, 3), np.float32))
    samples = str(tmp_path / "samples.npy")
    find_origin(f"{tmp_path}/net.py:make", ModelOptions(samples, shapes=("x=1,3",)))
    with pytest.raises(UsageError, match=r"--shape says 'input' is \[1, 4\], samples.npy has samples of \[1, 3\]"):
        find_origin(f"{tmp_path}/net.py:make", ModelOptions(samples, shapes=("1,4",)))
