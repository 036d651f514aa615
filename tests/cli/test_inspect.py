"""``edgekit inspect``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.bundle import Bundle, write_bundle
from edgekit.cli.main import run


def test_a_readable_summary(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(small_bundle)]) == 0
    out = capsys.readouterr().out
    for expected in (
        "small for desktop",
        "recommended: fp32.tflite: exact",
        "input: image float32[1, 1, 12, 12]",
        "output: output float32[1, 4]",
        "labels: east, north, south, west",
        "layout channels-first",
        "int8-dynamic.tflite: warning: slower than fp32 for convolutions",
    ):
        assert expected in out
    assert "None" not in out


def test_json_is_the_manifest(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(small_bundle), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert [entry["name"] for entry in document["variants"]] == ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"]
    assert {"size_bytes", "snr_db", "agreement", "delegated_share", "undelegated_ops"} <= document["variants"][0].keys()


def test_differences_are_named(small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Bundle.open(small_bundle) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        manifest = replace(opened.manifest, target="rpi4")
    write_bundle(manifest, {**files, "labels.txt": b"east\n"}, tmp_path / "other.edgekit")
    assert run(["inspect", "--diff", str(small_bundle), str(small_bundle)]) == 0
    assert "same contents" in capsys.readouterr().out
    assert run(["inspect", "--diff", str(small_bundle), str(tmp_path / "other.edgekit"), "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["differences"]
    assert lines == ["target: desktop against rpi4", "file labels.txt differs"]


def test_a_damaged_bundle_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    data = small_bundle.read_bytes()
    (tmp_path / "cut.edgekit").write_bytes(data[: len(data) // 2])
    assert run(["inspect", str(tmp_path / "cut.edgekit")]) == 6
    assert run(["inspect", str(tmp_path / "none.edgekit")]) == 6


def test_the_wrong_number_of_bundles(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(small_bundle), str(small_bundle)]) == 2
    assert "--diff" in capsys.readouterr().err
    assert run(["inspect", "--diff", str(small_bundle)]) == 2
