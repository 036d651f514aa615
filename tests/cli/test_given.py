"""Model files as they are, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import given_files

from edgekit.cli.main import run


@pytest.fixture
def int8(tmp_path: Path) -> Path:
    path = tmp_path / "int8.tflite"
    path.write_bytes(given_files.int8_doubling_tflite())
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    path = tmp_path / "reader.onnx"
    path.write_bytes(given_files.doubling_onnx(["n", 3, "height", "width"]))
    return path


def test_inspect_says_what_is_known_of_it(int8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(int8)]) == 0
    said = capsys.readouterr().out
    assert "int8.tflite: a LiteRT model as it is" in said
    assert "input: x int8[1, 4]: 0.5 * (q - 3)" in said and "output: y int8[1, 4]: 1 * (q - -2)" in said
    assert "no float model goes with it" in said and "accuracy" not in said
    (tmp_path / "count.tflite").write_bytes(given_files.counting_tflite())
    assert run(["inspect", str(tmp_path / "count.tflite")]) == 0
    assert "state: it keeps values from one run to the next" in capsys.readouterr().out


def test_run_takes_numbers_as_they_are_or_floats(
    int8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "whole.npy", np.int8([[3, 5, 7, 9]]))
    np.save(tmp_path / "real.npy", np.float32([[0, 1, 2, 3]]))
    for words, dtype, values in (
        (["--input", str(tmp_path / "whole.npy")], "int8", [-2, 0, 2, 4]),
        (["--input", str(tmp_path / "real.npy"), "--dequantize"], "float32", [0, 2, 4, 6]),
    ):
        assert run(["run", str(int8), *words, "--output", str(tmp_path / "out.npz"), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["bundle"] == str(int8) and document["outputs"]["y"]["dtype"] == dtype
        with np.load(tmp_path / "out.npz") as stored:
            np.testing.assert_array_equal(stored["y"], [values])
    assert run(["run", str(int8)]) == 0
    assert "the input is random" in capsys.readouterr().err


def test_open_axes_are_asked_for_in_one_line(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("inspect", "run", "verify", "profile"):
        assert run([verb, str(reader)]) == 2
        error, hint = capsys.readouterr().err.strip().splitlines()[:2]
        assert "input 'x' is float32[?, 3, ?, ?]" in error and "[EK-ARGUMENT]" in error
        assert "--shape x=1,3,H,W" in hint
    assert run(["run", str(reader), "--shape", "x=1,3,2,2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"]["y"]["shape"] == [1, 3, 2, 2]


def test_verify_says_that_there_is_no_snr(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(reader), "--shape", "x=1,3,2,2"]) == 0
    said = capsys.readouterr()
    assert "same bits" in said.out and "SNR dB" not in said.out
    assert "no float model goes with the file, so there is no SNR: outputs are held against onnxruntime" in said.err


def test_two_files_are_measured_beside_each_other(
    reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `benchmark_model` would, and comparable although their tensors have other names."""
    other = tmp_path / "other.onnx"
    other.write_bytes(given_files.doubling_onnx([1, 3, 2, 2], names=("image", "scores")))
    words = ["--shape", "x=1,3,2,2", "--quick", "--threads", "1"]
    assert run(["profile", str(reader), *words, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert run(["profile", str(reader), str(other), "--shape", "x=1,3,2,2", "--quick", "--threads", "1", "--json"]) == 2
    assert "no input has that name" in capsys.readouterr().err
    fixed = tmp_path / "fixed.onnx"
    fixed.write_bytes(given_files.doubling_onnx([1, 3, 2, 2]))
    assert run(["profile", str(fixed), str(other), "--quick", "--threads", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = [row for row in document["rows"] if row["status"] == "measured"]
    assert {row["bundle"] for row in rows} == {"fixed.onnx", "other.onnx"}
    assert sum(row["comparison"] is not None for row in rows) == 1
    assert all(row["is_given"] and row["snr_db"] is None for row in (*rows, first["rows"][0]))
    assert all("quality unknown (no float model goes with it)" in each["why"] for each in document["summary"])


@pytest.mark.slow
def test_a_pte_that_takes_smaller_inputs_runs_at_its_largest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from executorch.exir import to_edge_transform_and_lower

    shapes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    program = torch.export.export(torch.nn.Linear(4, 3), (torch.zeros(2, 4),), dynamic_shapes=shapes)
    path = tmp_path / "open.pte"
    path.write_bytes(to_edge_transform_and_lower(program).to_executorch().buffer)
    assert run(["run", str(path), "--shape", "input_0=5,4"]) == 2
    said = capsys.readouterr().err
    assert "the file takes up to float32[8, 4]" in said and "is run at its largest" in said
    assert run(["run", str(path), "--output", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["output_0"].shape == (8, 3)


def test_what_does_not_fit_is_said_with_a_cure_for_it(
    reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = tmp_path / "fixed.onnx"
    fixed.write_bytes(given_files.doubling_onnx([1, 3, 2, 2]))
    (tmp_path / "net.py").write_text("x = 1\n")
    for words, says, cure in (
        (["run", str(reader), "--shape", "x=1,4,2,2"], "does not fit", "only what is ? can be chosen"),
        (["run", str(fixed), "--shape", "x=1,3,4,4"], "does not fit", "leaves no size open: leave --shape out"),
        (["run", str(reader), "--shape", "x=1,a"], "is no shape", "x=1,3,224,224 for each of several inputs"),
        (["run", str(fixed), "--input", str(tmp_path / "net.py")], "net.py is no file of arrays", "give a .npy"),
    ):
        assert run(words) == 2
        error, hint = capsys.readouterr().err.strip().splitlines()
        assert says in error and cure in hint
        assert "int64" not in hint, "a file has its own types"


def test_files_that_no_app_or_browser_runs_are_called_as_the_user_calls_them(
    reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, says in (
        (["integrate", str(reader), "--for", "web"], "error: nothing in reader.onnx runs in an app for the web"),
        (["phone", str(reader)], f"error: no browser runs {reader}: it has no .tflite variant"),
    ):
        assert run([*words, "--shape", "x=1,3,2,2"]) in (1, 2)
        assert capsys.readouterr().err.startswith(says)
