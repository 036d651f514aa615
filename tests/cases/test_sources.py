"""Source models as people have them: the right value in every file, or one line that says what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import case_models, odd_models
from support.cases import build

from edgekit import npz
from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.pipeline.sources.outputs import named_tensors

MODELS = Path(case_models.__file__)
FLOAT = ("fp32.tflite", "fp32.pte")
ROWS = np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)


def eager(name: str, samples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the float model gives for each sample by itself, with an axis for samples."""
    module = getattr(case_models, name)().eval()
    rows: dict[str, list[np.ndarray]] = {}
    with torch.no_grad():
        for index in range(len(next(iter(samples.values())))):
            tensors = {key: torch.tensor(array[index : index + 1]) for key, array in samples.items()}
            given = module(**tensors) if len(tensors) > 1 else module(*tensors.values())
            for key, value in named_tensors(given):
                rows.setdefault(key, []).append(
                    value.numpy() if value.ndim and len(value) == 1 else value.numpy()[None]
                )
    return {key: np.concatenate(column) for key, column in rows.items()}


def test_names_and_shapes_of_all_kinds_in_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"file": ROWS, "labels": 2 * ROWS[::-1]}
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / "data.py").write_text(
        "import numpy as np\nfrom pathlib import Path\n"
        "def samples():\n    stored = np.load(Path(__file__).parent / 'stored.npz')\n"
        "    return {'file': stored['f'], 'labels': stored['l']}\n"
    )
    np.savez(folder / "stored.npz", f=samples["file"], l=samples["labels"])
    (folder / "model.py").write_text(MODELS.read_text())
    (folder / "edgekit.toml").write_text(
        '[project]\nname = "names"\n[model]\nframework = "torch"\nfactory = "model.py:Everything"\n'
        '[data]\nevaluation = "data.py:samples"\n[build]\nrecipes = ["fp32"]\nformats = ["tflite", "pte"]\n'
    )
    assert run(["build", str(folder), "--target", "rpi4"]) == 0
    path = folder / "build" / "names-rpi4.edgekit"
    with Bundle.open(path) as bundle:
        assert [spec.name for spec in bundle.manifest.signature.inputs] == ["labels", "file"]
        assert [(spec.name, spec.shape) for spec in bundle.manifest.signature.outputs] == [
            ("p3.box", (1, 4)), ("p3.score", (1, 2)), ("p4.box", (1, 4)), ("p4.score", (1, 2)), ("labels", (1,)),
            ("file", (1,)), ("/", (1, 2)), ("output", (1, 2)), ("anchors", (1, 6)), ("again", (1, 4)),
            ("given", (1, 8)),
        ]  # fmt: skip
        inputs, vectors = bundle.check_vectors()
    expected = eager("Everything", samples)
    for name, array in vectors.items():
        np.testing.assert_allclose(array, expected[name][:16], rtol=1e-5, atol=1e-6)
    assert run(["verify", str(path)]) == 0
    capsys.readouterr()
    npz.save(folder / "one.npz", {name: array[:1] for name, array in inputs.items()})
    for variant in FLOAT:
        out = folder / "out.npz"
        arguments = ["run", str(path), "--input", str(folder / "one.npz"), "--variant", variant, "--output", str(out)]
        assert run(arguments) == 0
        with np.load(out) as stored:
            assert set(stored.files) == set(expected)
            for name in stored.files:
                np.testing.assert_allclose(stored[name], vectors[name][:1], rtol=1e-4, atol=1e-5)


CAMERA = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
IDS = np.random.default_rng(0).integers(0, 40, (16, 6))
#: What is tried: the model, its samples, the types they come in, the outputs' names and shapes.
VALUES = {
    "nested dicts": ("NestedDict", {"x": ROWS}, ["p3.box", "p3.score", "p4.box", "p4.score"]),
    "an output called labels": ("Detector", {"x": ROWS}, ["boxes", "labels", "scores"]),
    "one number": ("Largest", {"x": ROWS}, ["output"]),
    "steps first": ("TimeFirst", {"x": ROWS.reshape(16, 2, 4)}, ["output"]),
    "bytes": ("Camera", {"image": CAMERA}, ["output"]),
    "scaled by the batch": ("ByTheBatch", {"x": ROWS}, ["output"]),
    "handed through": ("Passed", {"x": ROWS}, ["x", "y", "again", "anchors", "klass", "positive"]),
    "halves": ("ByTheBatch", {"x": ROWS.astype(np.float16)}, ["output"]),
    "doubles": ("ByTheBatch", {"x": ROWS.astype(np.float64)}, ["output"]),
    "big-endian": ("ByTheBatch", {"x": ROWS.astype(">f4")}, ["output"]),
    "Fortran order": ("TimeFirst", {"x": np.asfortranarray(ROWS.reshape(16, 2, 4))}, ["output"]),
    "ids in int64": ("Words", {"ids": IDS}, ["output"]),
    "ids in int32": ("Words", {"ids": IDS.astype(np.int32)}, ["output"]),
    "ids big-endian": ("Words", {"ids": IDS.astype(">i8")}, ["output"]),
    "inputs in another order": ("TwoEyes", {"rgb": 2 * ROWS, "depth": ROWS}, ["output"]),
    "a table made on the first call": ("Rope", {"x": ROWS}, ["output"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", VALUES)
def test_the_right_value_comes_out_of_every_file(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, samples, names = VALUES[case]
    built = build(tmp_path, capsys, f"{MODELS}:{name}", samples, "--recipe", "fp32")
    assert built.status == 0, built.errors
    native = {
        key: array.astype(np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("="))
        for key, array in samples.items()
    }
    expected = eager(name, native)
    assert list(expected) == names
    replace(built, samples=native).check(expected, FLOAT)
    assert run(["verify", str(built.path)]) == 0


@pytest.mark.slow
def test_what_float32_rounds_away_is_no_fault_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A converter folds the mean into the weights, and adds and takes off millions instead."""
    samples = {"x": 4_500_000 + 100 * ROWS}
    built = build(tmp_path, capsys, f"{MODELS}:Northing", samples, "--recipe", "fp32")
    assert built.status == 0, built.errors
    built.check(eager("Northing", samples), FLOAT, least_db=30)


@pytest.mark.slow
def test_inputs_without_names_have_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"arr_1": 2 * ROWS, "arr_0": ROWS}
    built = build(tmp_path, capsys, f"{MODELS}:TwoEyes", samples, "--recipe", "fp32")
    assert built.status == 0, built.errors
    named = {"depth": ROWS, "rgb": 2 * ROWS}
    replace(built, samples=named).check(eager("TwoEyes", named), FLOAT)


@pytest.mark.slow
def test_torchscript_is_built_from_where_torch_can_export_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {"rgb": 2 * ROWS, "depth": ROWS}
    built = build(tmp_path, capsys, f"{MODELS}:scripted", samples, "--recipe", "fp32")
    assert built.status == 0, built.errors
    built.check(eager("TwoEyes", samples), FLOAT)


#: Model, samples, what the line says, and what the hint says.
REFUSED = {
    "a buffer copied into": ("CopiesInto", {"x": ROWS}, "changes its buffer 'past'", "hand the state in and out"),
    "a branch": ("Branch", {"x": ROWS}, "branches on its input's values (odd_models.py:", "torch.where"),
    "dropout": ("DropoutOn", {"x": ROWS}, "gives different outputs for the same input", "switch off"),
    "a cache": (
        "KeyValueCache",
        {"token": IDS[:, :1] % 20, "position": np.arange(16)[:, None] % 4},
        "changes its buffers 'keys', 'values'",
        "hand the state in and out",
    ),
    "inputs of other names": ("TwoInputs", {"image": ROWS, "depth": ROWS}, "takes depth, rgb", "NAME=array"),
    "complex numbers": ("Plain", {"x": ROWS + 1j}, "samples.npz holds complex numbers", "whole numbers, floats"),
    "text": ("Plain", {"x": np.array(["a", "b"])}, "samples.npz holds text", "whole numbers, floats"),
    "one number for samples": ("Plain", {"x": np.float32(3)}, "is one number, not samples", "samples come first"),
    "too large for floats": ("Plain", {"x": ROWS.astype(float) * 1e300}, "more than float32 has", "scale the data"),
    "another width": ("Plain", {"x": ROWS[:, :7]}, "does not take input: float32[1, 7]", "shapes"),
    "ids for a float model": ("Plain", {"x": IDS.repeat(2, 1)[:, :8]}, "does not take input: int64[1, 8]", "float32"),
}


def refuse(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, samples, says, hints = REFUSED[case]
    built = build(tmp_path, capsys, f"{odd_models.__file__}:{name}", samples)
    assert built.status == 2 and not built.path.exists()
    (error,), (hint,) = built.errors, built.hints
    assert says in error and hints in hint
    assert "EK-UNEXPECTED" not in error and "report" not in hint


@pytest.mark.parametrize("case", ["a branch", "complex numbers"])
def test_a_model_that_no_file_can_follow_is_refused_before_any_export(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(case, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(REFUSED.keys() - {"a branch", "complex numbers"}))
def test_the_others_are_refused_too(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(case, tmp_path, capsys)
