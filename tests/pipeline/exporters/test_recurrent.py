"""Recurrent layers in SavedModels, whose lists are of any number of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import keras_exports
from support.subprocesses import call

import edgekit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recurrent")
    call("support.keras_exports:save", backend="tensorflow", directory=str(path))
    np.save(path / "sequences.npy", np.random.default_rng(0).normal(size=(64, 12, 5)).astype(np.float32))
    return path


@pytest.mark.parametrize("name", keras_exports.LAYERS)
def test_every_recipe_follows_the_float_model(folder: Path, name: str) -> None:
    options = {"target": "rpi4", "formats": ["tflite"], "calibration": folder / "sequences.npy"}
    with edgekit.build(folder / name, out=folder / "out", **options) as bundle:
        reached = {variant.recipe: variant.snr_db for variant in bundle.manifest.variants}
    assert reached.keys() == {"fp32", "fp16", "int8"}
    assert reached["fp32"] > 110 and reached["fp16"] > 60 and reached["int8"] > 30


def test_the_converter_takes_none_by_itself(folder: Path) -> None:
    """When this fails, `_experimental_default_to_single_batch_in_tensor_list_ops` can go."""
    said = call("support.keras_exports:convert_as_it_is", backend="tensorflow", directory=str(folder))
    assert "TensorListReserve" in said and "static" in said
