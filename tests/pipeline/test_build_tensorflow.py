"""TensorFlow's models and .tflite files of others through the whole command line, to both formats."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tensorflow_facts import folder

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.manifest import Variant

pytestmark = pytest.mark.slow


def built(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Variant]:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    status = run(["build", str(folder() / name), "-t", "rpi4", "-o", str(tmp_path), "-q", "--strict", *more])
    assert status == 0
    (path,) = tmp_path.glob("*.edgekit")
    with Bundle.open(path) as bundle:
        bundle.verify()
        return {variant.name: variant for variant in bundle.manifest.variants}


def test_one_signature_becomes_both_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = built("two", tmp_path, monkeypatch, "--signature", "image", "-r", "fp32")
    assert variants.keys() == {"fp32.tflite", "fp32.pte"}
    for variant in variants.values():
        assert variant.snr_db is not None and variant.snr_db > 100
        assert variant.delegated_share is not None and variant.delegated_share > 99
    assert {"tensorflow", "tf2onnx", "executorch"} <= variants["fp32.pte"].producers.keys()


def test_an_int8_file_goes_in_as_it_is_and_becomes_a_float_pte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = str(folder() / "float.inputs.npz")
    variants = built("int8.tflite", tmp_path, monkeypatch, "--calibration", samples, "-r", "fp32", "-r", "int8")
    assert {"int8.tflite", "fp32.pte"} <= variants.keys() and "fp32.tflite" not in variants
    given, copied = variants["int8.tflite"], variants["fp32.pte"]
    assert given.max_abs_diff == 0 and any("as it was given" in each for each in given.warnings)
    assert copied.snr_db is not None and 10 < copied.snr_db < 80
    assert any("without its rounding" in each for each in copied.warnings)
