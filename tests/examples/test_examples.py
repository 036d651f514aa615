"""Every example, built as its README says, with the figures it promises."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.bundle import Bundle
from edgekit.manifest import Manifest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds an example for the Raspberry Pi 4 and gives the bundle's path."""
    out = tmp_path_factory.mktemp("examples")

    def build(name: str) -> Path:
        document = edgekit("build", str(ROOT / "examples" / name), "--target", "rpi4", "--strict", "--out", str(out))
        return Path(document["bundle"])

    return build


def edgekit(*arguments: str) -> Any:
    command = [sys.executable, "-m", "edgekit.cli.main", *arguments, "--json"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def manifest(path: Path) -> Manifest:
    with Bundle.open(path) as bundle:
        bundle.verify()
        return bundle.manifest


def check(made: Manifest, accuracy: float, drop: float, snr_db: float) -> None:
    names = {variant.name for variant in made.variants}
    assert {f"{recipe}.{format}" for recipe in ("fp32", "fp16", "int8") for format in ("tflite", "pte")} <= names
    assert made.source["accuracy"] >= accuracy
    for variant in made.variants:
        assert variant.accuracy_drop is not None and variant.accuracy_drop <= drop, variant
        assert variant.snr_db >= (100.0 if variant.recipe == "fp32" else snr_db), variant
        if variant.recipe != "fp16":
            assert not variant.undelegated_ops, variant
    assert made.recommended["variant"] == "int8.tflite"


def test_digits(digits_bundle: Path) -> None:
    check(manifest(digits_bundle), accuracy=98.0, drop=0.3, snr_db=28.0)


@pytest.mark.slow
def test_digits_keras(built: Callable[[str], Path]) -> None:
    made = manifest(built("digits_keras"))
    check(made, accuracy=98.0, drop=0.3, snr_db=28.0)
    assert made.source["framework"] == "keras"


@pytest.mark.slow
def test_digits_keras_in_tensorflow(tmp_path: Path) -> None:
    """The baseline: the float model itself, for one sample and for 32."""
    project = str(ROOT / "examples" / "digits_keras")
    asked = ["--target", "desktop-x86_64", "--format", "keras", "--strict", "--out", str(tmp_path)]
    path = Path(edgekit("build", project, *asked)["bundle"])
    made = manifest(path)
    assert {variant.name: variant.batch for variant in made.variants} == {"fp32.keras": 1, "fp32-batch32.keras": 32}
    assert all(variant.snr_db > 100 and variant.accuracy_drop == 0 for variant in made.variants)
    assert made.recommended["variant"] == "fp32.keras"
    rows = edgekit("verify", str(path))["rows"]
    assert [(row["engine"], row["status"]) for row in rows] == [("tensorflow", "passed")] * 2


@pytest.mark.slow
def test_activity(built: Callable[[str], Path]) -> None:
    """Two people who are in no training window; a one-dimensional network."""
    check(manifest(built("activity")), accuracy=85.0, drop=1.0, snr_db=28.0)


@pytest.mark.slow
def test_imagenet(built: Callable[[str], Path]) -> None:
    """Pretrained weights and real photographs; preprocessing travels in the bundle."""
    path = built("imagenet")
    check(manifest(path), accuracy=90.0, drop=10.0, snr_db=15.0)
    spec = importlib.util.find_spec("foolbox")
    assert spec is not None and spec.origin is not None
    labels = (ROOT / "examples" / "imagenet" / "labels.txt").read_text().splitlines()
    photograph = Path(spec.origin).parent / "data" / "imagenet_00_243.jpg"
    for variant in ("fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte"):
        answer = edgekit("run", str(path), "--input", str(photograph), "--variant", variant)
        (output,) = answer["outputs"].values()
        assert output["top"][0]["label"] == labels[243], variant
