"""Every file that people have at hand, on every verb: what it is, and what to do, in one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.cli.main import run
from edgekit.foreign import foreign

KNOWN = [
    "onnx", "tflite", "lite", "pte", "ptl", "pt", "pth", "pt2", "ts", "torchscript", "ckpt", "bin", "h5", "hdf5",
    "keras", "pb", "pbtxt", "safetensors", "pkl", "pickle", "joblib", "gguf", "ggml", "mlmodel", "mlmodelc",
    "mlpackage", "engine", "trt", "plan", "pdmodel", "pdiparams", "caffemodel", "t7", "weights", "npy", "npz", "py",
    "ipynb", "xml", "zip", "toml", "html",
]  # fmt: skip
BUNDLE_VERBS = {
    "run": ["--input", "x.npy"],
    "verify": [],
    "inspect": [],
    "profile": [],
    "deploy": ["--on", "ssh://nobody@127.0.0.1:1"],
    "phone": [],
    "integrate": ["--for", "web"],
}


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str, str]:
    status = run(arguments)
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    hints = [line for line in lines if line.startswith(" hint: ")]
    assert len(errors) == len(hints) == 1, lines
    assert "EK-UNEXPECTED" not in errors[0]
    return status, errors[0], hints[0]


@pytest.mark.parametrize("suffix", KNOWN)
def test_every_suffix_is_known_with_a_hint(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"Model.{suffix.upper()}"
    path.write_bytes(b"what it holds is not asked")
    known = foreign(path)
    assert known is not None and known.what and len(known.hint) > 20
    assert "{" not in known.hint and "\n" not in known.hint


@pytest.mark.parametrize("verb", BUNDLE_VERBS)
def test_verbs_for_bundles_say_what_they_got(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.npy").write_bytes(b"")
    for name, says in (
        ("model.tflite", "is damaged, or no .tflite file"),
        ("model.keras", "edgekit build model.keras"),
    ):
        Path(name).write_bytes(b"TFL3")
        status, error, hint = said(capsys, [verb, name, *BUNDLE_VERBS[verb]])
        assert status == 6 and error.endswith("[EK-BUNDLE]")
        assert says in error + hint


@pytest.mark.parametrize("verb", BUNDLE_VERBS)
def test_a_path_that_is_wrong_is_said_to_be(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told to build a model file that they have, or to give a folder as the file that its name promises."""
    monkeypatch.chdir(tmp_path)
    for name, says, cure in (
        ("gone.tflite", "there is no gone.tflite", f"is the path right? It is looked for in {tmp_path}"),
        (f"{tmp_path}/gone.onnx", f"there is no {tmp_path}/gone.onnx", "is the path right?"),
        ("gone.edgekit", "there is no bundle at gone.edgekit", "edgekit build makes one"),
        ("net.py:make", "there is no bundle at net.py:make", "edgekit build makes one"),
    ):
        status, error, hint = said(capsys, [verb, name, *BUNDLE_VERBS[verb]])
        assert status == 6 and says in error and error.endswith("[EK-MISSING-FILE]") and hint == f" hint: {cure}"
    for name in ("model.tflite", "model.pte", "model.onnx"):
        Path(name).mkdir()
        status, error, hint = said(capsys, [verb, name, *BUNDLE_VERBS[verb]])
        assert status == 6 and f"{name} is a folder, whatever its name says, not a bundle" in error
        assert "name the model file" in hint


def test_a_folder_is_no_model_file_to_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.keras").mkdir()
    status, error, hint = said(capsys, ["build", "model.keras", "--target", "rpi4"])
    assert status == 2 and "is a folder, whatever its name says, which edgekit build does not take" in error
    assert "name the model file" in hint


@pytest.mark.parametrize("name", ["model.ort", "weights.pth", "net.py", "x.edgekit", "graph.pbtxt", "a.pkl"])
def test_build_says_what_it_got(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"")
    status, error, _ = said(capsys, ["build", name, "--target", "rpi4"])
    assert status == 2 and "which edgekit build does not take" in error


@pytest.mark.parametrize("verb", ["report", "compare"])
def test_verbs_for_profiles_say_what_they_got(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(b"TFL3")
    status, error, hint = said(capsys, [verb, *["model.tflite"] * (2 if verb == "compare" else 1)])
    assert status == 2 and "is a LiteRT model, not a profile" in error and "edgekit profile" in hint


def test_doctor_says_what_it_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").mkdir()
    for name in ("model.pte", "net.py", "x.npy", "a.pkl"):
        Path(name).write_bytes(b"")
    for name, says in (
        ("model.pte", "model.pte is an ExecuTorch program"),
        ("net.py", "net.py is a Python file"),
        ("x.npy", "x.npy is a file of arrays"),
        ("a.pkl", "a.pkl is "),
        ("model.onnx", "model.onnx is a folder"),
    ):
        status, error, _ = said(capsys, ["doctor", name])
        assert (
            status == 2 and says in error and error.endswith("of which edgekit doctor has nothing to say [EK-ARGUMENT]")
        )


def test_folders_are_known_by_what_lies_in_them(tmp_path: Path) -> None:
    for name, file, says in (("saved", "saved_model.pb", "SavedModel folder"), ("own", "edgekit.toml", "a project")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("")
        known = foreign(tmp_path / name)
        assert known is not None and says in known.what and str(tmp_path / name) in known.hint
    (tmp_path / "net.mlpackage").mkdir()
    assert foreign(tmp_path / "net.mlpackage") is not None
    assert foreign(tmp_path) is None and foreign(tmp_path / "none.onnx") is None


def test_torchscript_is_told_from_weights(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt")
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "script.pt")
    weights, script = foreign(tmp_path / "weights.pt"), foreign(tmp_path / "script.pt")
    assert weights is not None and "weights" in weights.what
    assert script is not None and "TorchScript" in script.what and "edgekit build" in script.hint
