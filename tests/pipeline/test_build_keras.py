"""Bare Keras and TensorFlow model files through the whole command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.projects import DIGITS

from edgekit.bundle import Bundle
from edgekit.cli.main import run

pytestmark = pytest.mark.slow

#: TensorFlow never meets torch in one process, so the files are made in one of their own.
MAKE = """
import keras, sys
keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential([
    keras.Input((28, 28, 1)), layers.Conv2D(8, 3, 2, padding="same"), layers.ReLU(max_value=6.0),
    layers.Conv2D(16, 3, 2, padding="same"), layers.ReLU(max_value=6.0),
    layers.GlobalAveragePooling2D(), layers.Dense(10),
])
model.save(sys.argv[1] + "/net.keras")
model.export(sys.argv[1] + "/saved")
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], env=environment, check=True, capture_output=True)
    np.save(folder / "samples.npy", np.load(DIGITS)["x"][::200, ..., None].astype(np.float32) / 255)
    return folder


@pytest.mark.parametrize("name", ["net.keras", "saved"])
def test_a_bare_file_is_built_and_calibrated(name: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(models / "cache"))
    samples = str(models / "samples.npy")
    asked = ["-t", "rpi4", "-f", "tflite", "-r", "fp32", "-r", "int8", "--calibration", samples, "-q", "--strict"]
    assert run(["build", str(models / name), *asked]) == 0
    with Bundle.open(models / "build" / f"{Path(name).stem}-rpi4.edgekit") as bundle:
        bundle.verify()
        manifest = bundle.manifest
    assert not manifest.checks["random"] and manifest.calibration is not None
    for variant in manifest.variants:
        assert variant.snr_db > (100 if variant.recipe == "fp32" else 25)
        assert variant.delegated_share == 100.0


FACTORY = """
import keras
import numpy as np


def make():  # its weights are other ones at every call, and on each of Keras's backends
    layers = keras.layers
    return keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), layers.Dropout(0.3), layers.Dense(3)])


def samples():
    return np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
"""
PROJECT = """
[project]
name = "drawn"
[model]
framework = "keras"
factory = "net.py:make"
[data]
evaluation = "net.py:samples"
"""


def test_both_formats_have_the_weights_of_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    project = tmp_path / "drawn"
    project.mkdir()
    (project / "net.py").write_text(FACTORY)
    (project / "edgekit.toml").write_text(PROJECT)
    assert run(["build", str(project), "-t", "rpi4", "-r", "fp32", "--strict"]) == 0
    assert "net.py:make makes other weights at every call" in capsys.readouterr().err
    with Bundle.open(project / "build" / "drawn-rpi4.edgekit") as bundle:
        assert {variant.format for variant in bundle.manifest.variants} == {"tflite", "pte"}
