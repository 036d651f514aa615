"""``.tflite`` files from PyTorch, loaded and run by LiteRT itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import calibrator
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe import static_wi8_ai8
from support.torch_nets import INPUTS, Nets, samples

from edgekit.pipeline.exporters.litert import convert, quantize
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.variants.gates import check_weights
from edgekit.recipes import RECIPES


@pytest.fixture(scope="module")
def base(nets: Nets, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("base") / "clamped.tflite"
    return path, convert(source=nets.spec("clamped"), output=str(path))


def test_the_float_file_is_the_source_model(nets: Nets, base: tuple[Path, dict[str, Any]]) -> None:
    path, record = base
    assert nets.snr("clamped", path) >= 100
    facts = inspect_file(path, "tflite")
    assert (facts.delegated_share, facts.undelegated_ops) == (100.0, {})
    assert record["producers"].keys() == {"torch", "litert-torch", "litert-converter"}


def test_names_shapes_and_types_are_those_of_the_signature(base: tuple[Path, dict[str, Any]]) -> None:
    interpreter = Interpreter(str(base[0]))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["output"]}}
    (details,) = interpreter.get_input_details()
    assert tuple(details["shape"]) == INPUTS["clamped"].shape


@pytest.mark.parametrize(("name", "least_snr_db"), [("fp16", 45), ("int8", 17), ("int8-dynamic", 18)])
def test_a_quantized_file_runs_and_agrees_with_its_source(
    nets: Nets, base: tuple[Path, dict[str, Any]], tmp_path: Path, name: str, least_snr_db: float
) -> None:
    path = tmp_path / "model.tflite"
    calibration = nets.calibration("clamped") if name == "int8" else None
    quantize(base=str(base[0]), recipe=name, calibration=calibration, output=str(path))
    assert nets.snr("clamped", path) >= least_snr_db
    facts = inspect_file(path, "tflite")
    assert check_weights(facts, RECIPES[name]) is None
    outside = {"DEPTHWISE_CONV_2D": 1} if name == "int8-dynamic" else {}
    assert facts.undelegated_ops == outside


def test_what_is_masked_stays_float_in_int8(nets: Nets, tmp_path: Path) -> None:
    base, path = tmp_path / "base.tflite", tmp_path / "model.tflite"
    convert(source=nets.spec("causal"), output=str(base))
    quantize(base=str(base), recipe="int8", calibration=nets.calibration("causal"), output=str(path))
    assert nets.snr("causal", path) >= 20


def test_stock_calibration_averages_extremes_away(
    nets: Nets, base: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """When the stock figure rises, `quantize` can call ``Quantizer.calibrate``."""
    quantizer = Quantizer(str(base[0]), static_wi8_ai8())
    data = {"serving_default": [{"image": sample[None]} for sample in samples("clamped", 32, seed=2)]}
    ranges = quantizer.calibrate(data)
    exact = calibrator.Calibrator(str(base[0]), qsv_update_func=calibrator.qsv_utils.min_max_update)
    exact.calibrate(data, quantizer._recipe_manager)
    (tensor,) = [name for name in ranges if name.endswith("image")]
    assert ranges[tensor]["max"].item() < 0.95 * exact.get_model_qsvs()[tensor]["max"].item()


def test_quantizing_imports_no_framework() -> None:
    code = "import sys, edgekit.pipeline.exporters.litert; print({'torch', 'tensorflow', 'jax'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
