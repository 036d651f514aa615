"""``edgekit run``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import LABELS, SmallModels

from edgekit.cli.main import run


@pytest.fixture
def sample(small_models: SmallModels, tmp_path: Path) -> Path:
    Image.fromarray(small_models.samples[5]).save(tmp_path / "five.png")
    return tmp_path / "five.png"


def test_labels_and_raw_scores(
    small_bundle: Path, small_models: SmallModels, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", str(small_bundle), "--input", str(sample), "--top", "2"]) == 0
    out, err = capsys.readouterr()
    best = int(small_models.scores[5].argmax())
    first = out.splitlines()[1].split()
    assert first == [LABELS[best], f"{small_models.scores[5, best]:.4f}"]
    assert len(out.splitlines()) == 3
    assert "fp32.tflite on litert" in err


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_raw_samples_and_ready_tensors_give_the_same(
    small_bundle: Path,
    small_models: SmallModels,
    sample: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    variant: str,
) -> None:
    np.save(tmp_path / "raw.npy", small_models.samples[5])
    np.save(tmp_path / "ready.npy", small_models.images[5:6])
    np.savez(tmp_path / "ready.npz", image=small_models.images[5:6])
    scores = []
    for file in (sample, tmp_path / "raw.npy", tmp_path / "ready.npy", tmp_path / "ready.npz"):
        output = tmp_path / "scores.npz"
        arguments = ["run", str(small_bundle), "--input", str(file), "--variant", variant, "--json"]
        assert run([*arguments, "--output", str(output)]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["variant"] == variant
        assert document["outputs"]["output"]["top"][0]["label"] in LABELS
        with np.load(output) as stored:
            scores.append(stored["output"])
    for array in scores:
        np.testing.assert_allclose(array, small_models.scores[5:6], atol=1e-5)


def test_json_is_the_only_thing_on_standard_output(
    small_bundle: Path, sample: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", str(small_bundle), "--input", str(sample), "--variant", "fp32.pte", "--json", "--quiet"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["engine"] == "executorch"


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["--input", "none.png"], "EK-MISSING-FILE", 2),
        (["--input", "none.npy"], "EK-MISSING-FILE", 2),
        (["--input", "wrong.npy"], "EK-INPUT", 2),
        (["--input", "text.txt"], "EK-INPUT", 2),
        (["--input", "five.png", "--variant", "int9"], "EK-ARGUMENT", 2),
        (["--input", "five.png", "--engine", "abacus"], "EK-ENGINE", 2),
        (["--input", "five.png", "--threads", "0"], "EK-ARGUMENT", 2),
        (["--input", "five.png", "--on", "mars"], "EK-ARGUMENT", 2),
        (["--input", "five.png", "--output", "scores.txt"], "EK-ARGUMENT", 2),
        (["--input", "five.png", "--output", "none/scores.npz"], "EK-WRITE", 1),
    ],
)
def test_wrong_arguments_are_one_line_with_a_code(
    small_bundle: Path,
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: str,
    exit_code: int,
) -> None:
    monkeypatch.chdir(sample.parent)
    np.save("wrong.npy", np.zeros((3, 3, 3, 3)))
    Path("text.txt").write_text("7")
    assert run(["run", str(small_bundle), *arguments]) == exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert f"[{code}]" in err and "Traceback" not in err
