"""Files that are not what their recipe promises are refused before they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from edgekit.pipeline.gates import check_backend, check_weights
from edgekit.pipeline.inspection import FileFacts
from edgekit.pipeline.recipes import recipe

_PARAMETERS = 100_000
_BIASES = 1_000


def _facts(weights: Mapping[str, int], biases: Mapping[str, int]) -> FileFacts:
    return FileFacts(weights, biases, {"CONV_2D": 10}, ("convolution",), 100.0)


def test_a_file_for_another_backend_is_refused() -> None:
    facts = replace(_facts({}, {}), backends=("VulkanBackend",))
    assert check_backend(facts, "vulkan") is None
    assert check_backend(facts, "coreml") == "the file is for VulkanBackend, not for Core ML"


def test_a_file_of_which_the_backend_takes_nothing_is_refused_unless_it_runs_all_the_same() -> None:
    facts = replace(_facts({}, {}), delegated_share=0.0, undelegated_ops={"aten::sort": 1})
    assert check_backend(facts, "vulkan") == "Vulkan takes none of the model's operators (aten::sort)"
    assert check_backend(facts, "xnnpack") is None


@pytest.mark.parametrize(
    ("name", "weights", "biases", "size_bytes", "refusal"),
    [
        ("int8", {"int8": 99_000}, {"int32": 4_000}, 140_000, None),
        ("int8", {"int8": 99_000, "int32": 32}, {"int32": 4_000}, 140_000, None),
        ("int8-dynamic", {"int8": 95_000, "float32": 16_000}, {"float32": 4_000}, 150_000, None),
        ("fp16", {"float16": 198_000}, {"float16": 2_000}, 220_000, None),
        ("fp32", {"float32": 396_000}, {"float32": 4_000}, 420_000, None),
        ("int8", {"float32": 396_000}, {"float32": 4_000}, 420_000, "not int8: 100 % float32"),
        ("int8", {"int8": 50_000, "float32": 200_000}, {"int32": 4_000}, 300_000, "not int8: 50 % float32, 50 % int8"),
        ("fp16", {"float32": 396_000}, {"float32": 4_000}, 420_000, "not float16"),
        ("int8", {"int8": 60_000}, {"int32": 4_000}, 100_000, "weights are missing"),
        ("fp32", {"float32": 640_000}, {"float32": 4_000}, 680_000, "stored twice"),
        ("int8", {"int8": 99_000}, {"int32": 4_000}, 540_000, "explain"),
        ("int8", {}, {}, 2_000, "weights are missing"),
    ],
)
def test_weights_and_size(
    name: str, weights: dict[str, int], biases: dict[str, int], size_bytes: int, refusal: str | None
) -> None:
    reason = check_weights(_facts(weights, biases), recipe(name), _PARAMETERS, size_bytes)
    assert reason is None if refusal is None else reason is not None and refusal in reason
