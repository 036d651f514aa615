"""Keras models rebuilt in PyTorch: the same numbers, nothing TensorFlow, and layers that the exporters know."""

from __future__ import annotations

import pytest
from support.keras_facts import MODELS, tensorflow_facts, torch_facts


@pytest.mark.parametrize("name", MODELS)
def test_rebuilt_model_computes_what_tensorflow_computed(name: str) -> None:
    here, there = torch_facts()["models"][name], tensorflow_facts()["models"][name]
    assert here["signature"] == there["signature"]
    assert here["parameter_count"] == there["parameter_count"]
    assert here["shapes"] == [spec["shape"][1:] for spec in here["signature"]["outputs"]]
    # Fifty layers of random weights amplify rounding: TensorFlow itself is 101 dB from float64 there, PyTorch 101. What
    # the segmentation says varies by a hundredth of its size.
    assert min(here["snr_db"].values()) > {"mobilenet_v2": 95, "segmentation": 80}.get(name, 100)


def test_tensorflow_is_not_imported() -> None:
    assert not torch_facts()["tensorflow_imported"]


@pytest.mark.parametrize("name", ["mobile", "mobilenet_v2"])
def test_images_are_permuted_once(name: str) -> None:
    assert torch_facts()["models"][name]["permutes"] == 1


def test_layers_are_those_that_fold_and_quantize() -> None:
    modules = set(torch_facts()["models"]["mobilenet_v2"]["modules"])
    assert modules == {"Conv2d", "BatchNorm2d", "ReLU6", "ZeroPad2d", "GlobalAverage", "Linear"}


@pytest.mark.parametrize("name", ["mobile", "series"])
def test_xnnpack_takes_all_of_it(name: str) -> None:
    outside = torch_facts()["outside_xnnpack"][name]
    assert outside == {"executorch_call_delegate": 1}


def test_a_layer_of_the_users_own_runs_as_it_is() -> None:
    assert torch_facts()["own_layer"] > 120


@pytest.mark.parametrize("name", ["Native", "Unshaped"])
def test_a_layer_that_needs_tensorflow_is_named(name: str) -> None:
    error = torch_facts()["native_layers"][name]
    assert name in error["message"] and "written for TensorFlow" in error["message"]
    assert "--format tflite" in error["hint"]


@pytest.mark.parametrize("name", ["recurrent", "attentive"])
def test_recurrent_layers_and_attention_are_those_of_pytorch(name: str) -> None:
    modules = set(torch_facts()["models"][name]["modules"])
    assert {"recurrent": "Recurrent", "attentive": "MultiHeadAttention"}[name] in modules
