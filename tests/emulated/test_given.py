"""Model files as they are on an emulated Raspberry Pi 4: deployed, run there, and held against this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import SmallModels
from support import given_files
from support.board import Board
from support.commands import edgekit

pytestmark = pytest.mark.slow


def test_a_tflite_is_deployed_and_gives_what_it_does_here(
    board: Board, small_models: SmallModels, tmp_path: Path
) -> None:
    path = tmp_path / "image.tflite"
    path.write_bytes(small_models.files["image.tflite"])
    sent = edgekit("deploy", path, "--on", board.url, "--json", environment=board.environment).document
    assert sent["app"] == "image.tflite"
    (row,) = [
        row
        for row in edgekit("verify", path, "--on", board.url, "--json", environment=board.environment).document["rows"]
        if row["status"] != "not run"
    ]
    assert (row["engine"], row["status"], row["is_given"], row["matches_host"]) == ("litert", "passed", True, True)


def test_onnx_runtime_is_sent_alone_and_axes_are_fixed_before(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "double.onnx"
    path.write_bytes(given_files.doubling_onnx(["batch", "width"]))
    shape = ("--shape", "x=1,3")
    sent = edgekit("deploy", path, *shape, "--on", board.url, "--json", environment=board.environment).document
    sizes = {part["name"].rpartition("-")[0]: part["size_bytes"] for part in sent["parts"]}
    assert sizes.keys() == {"edgekit", "click", "numpy", "onnxruntime"} and sizes["onnxruntime"] < 15e6
    np.save(tmp_path / "x.npy", np.float32([[1, 2, 3]]))
    words = (path, *shape, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npz")
    edgekit("run", *words, "--on", board.url, "--json", environment=board.environment)
    with np.load(tmp_path / "y.npz") as stored:
        np.testing.assert_array_equal(stored["y"], [[2, 4, 6]])
