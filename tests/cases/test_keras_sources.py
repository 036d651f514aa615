"""Keras models as people have them: the right value in every file, or one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.cases import build
from support.subprocesses import call

from edgekit.cli.main import run

pytestmark = pytest.mark.slow

#: What each case is built in; what cannot be rebuilt in PyTorch has no .pte.
FORMATS = {
    "mask": ("tflite", "pte"),
    "vision": ("tflite", "pte"),
    "order": ("tflite", "pte"),
    "levels": ("tflite", "pte"),
    "by_the_batch": ("tflite",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keras-cases")
    assert set(call("support.case_keras:save", backend="tensorflow", directory=str(made))) == FORMATS.keys()
    return made


def stored(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("name", FORMATS)
def test_the_right_value_comes_out_of_every_file(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples, outputs = stored(folder / f"{name}.samples.npz"), stored(folder / f"{name}.outputs.npz")
    asked = [word for format in FORMATS[name] for word in ("--format", format)]
    built = build(tmp_path, capsys, folder / f"{name}.keras", samples, "--recipe", "fp32", *asked)
    assert built.status == 0, built.errors
    built.check(outputs, tuple(f"fp32.{format}" for format in FORMATS[name]))
    assert run(["verify", str(built.path)]) == 0


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"z": "z", "a": "a", "m": "q"}, "the data's inputs are z, a, q; order.keras takes z, a, m"),
        ({"z": "one", "a": "two", "m": "three"}, "the data's inputs are one, two, three; order.keras takes z, a, m"),
        ({"z": "z", "a": "a"}, "the data's inputs are z, a; order.keras takes z, a, m"),
    ],
)
def test_inputs_are_never_matched_by_guess(
    names: dict[str, str], said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = stored(folder / "order.samples.npz")
    built = build(tmp_path, capsys, folder / "order.keras", {names[key]: samples[key] for key in names})
    assert built.status == 2 and len(built.errors) == len(built.hints) == 1
    assert said in built.errors[0]


def test_whole_numbers_of_another_width_are_ids_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples, outputs = stored(folder / "mask.samples.npz"), stored(folder / "mask.outputs.npz")
    wide = {"tokens": samples["tokens"].astype(">i8")}
    built = build(tmp_path, capsys, folder / "mask.keras", wide, "--recipe", "fp32", "--format", "tflite")
    assert built.status == 0, built.errors
    built.check(outputs, ("fp32.tflite",))
    wide["tokens"][0, 0] = 1 << 40
    built = build(tmp_path, capsys, folder / "mask.keras", wide)
    assert built.status == 2 and "the model takes int32" in built.errors[0]


@pytest.mark.parametrize(("name", "said"), [("unknown", "'Scale'"), ("own_function", "the function 'squared'")])
def test_what_keras_does_not_know_is_refused_by_name(
    name: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = build(tmp_path, capsys, folder / f"{name}.keras", {"x": np.ones((4, 6), np.float32)})
    assert built.status == 2 and len(built.errors) == len(built.hints) == 1
    assert said in built.errors[0] and "Python file" in built.hints[0]
