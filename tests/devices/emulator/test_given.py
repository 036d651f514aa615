"""Model files as they are on emulated boards: the aarch64 wheels give what the desktop's do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_models import SmallModels
from support import given_files

from edgekit.cli.main import run

pytestmark = pytest.mark.slow


def test_boards_give_what_this_machine_does(
    emulator_home: Path, small_models: SmallModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "image.tflite": (small_models.files["image.tflite"], ()),
        "image.pte": (small_models.files["image.pte"], ()),
        "int8.tflite": (given_files.int8_doubling_tflite(), ()),
        "double.onnx": (given_files.doubling_onnx(["batch", "width"]), ("--shape", "x=1,3")),
    }
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        assert run(["verify", str(tmp_path / name), *words, "--on", "emulator:rpi4", "--json", "--quiet"]) == 0
        (row,) = (row for row in json.loads(capsys.readouterr().out)["rows"] if row["status"] != "not run")
        assert (row["status"], row["matches_host"], row["is_given"]) == ("passed", True, True)
