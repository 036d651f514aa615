"""What is said of files that are not what their recipe promises, and which of them are refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from edgekit.backends import BACKENDS
from edgekit.pipeline.readers.facts import Call, Constant, FileFacts
from edgekit.pipeline.variants.gates import check_backend, check_weights, remarks
from edgekit.recipes import RECIPES

_VALUES = 100_000


def _facts(*weights: tuple[str, int, str], biases: int = 1_000) -> FileFacts:
    constants = [Constant(dtype, (1, count), count * np.dtype(dtype).itemsize, name) for dtype, count, name in weights]
    bias = Constant("float32", (biases,), 4 * biases, "CONV_2D")
    return FileFacts.of([*constants, bias], [Call("CONV_2D", delegated=True)] * 10, {"CONV_2D": "convolution"})


def test_a_file_for_another_backend_is_refused() -> None:
    facts = replace(_facts(), backends=("VulkanBackend",))
    assert check_backend(facts, BACKENDS["vulkan"]) is None
    refused = check_backend(facts, BACKENDS["coreml"])
    assert refused is not None and refused[0] == "the file is for VulkanBackend, not for Core ML"


def test_a_file_of_which_the_backend_takes_nothing_is_refused_unless_it_runs_all_the_same() -> None:
    facts = replace(_facts(), backends=(), delegated_share=0.0, undelegated_ops={"aten::sort": 1})
    refused = check_backend(facts, BACKENDS["vulkan"])
    assert refused is not None and refused[0] == "Vulkan takes none of the model's operators (aten::sort)"
    assert check_backend(facts, BACKENDS["xnnpack"]) is None


@pytest.mark.parametrize(
    ("name", "facts", "refusal"),
    [
        ("int8", _facts(("int8", 99_000, "CONV_2D")), None),
        ("int8", _facts(("int8", 2_000, "CONV_2D"), ("float32", 98_000, "EMBEDDING_LOOKUP")), None),
        ("int8-dynamic", _facts(("int8", 500, "linear"), ("float32", 98_000, "convolution")), None),
        ("fp16", _facts(("float16", 99_000, "CONV_2D")), None),
        ("int8", _facts(), None),
        ("int8", _facts(("int64", 50_000, "GATHER")), None),
        ("int8-dynamic", _facts(("float32", 99_000, "conv")), "int8-dynamic changes nothing here.* 99,000 float32 in"),
        ("fp16", _facts(("float32", 99_000, "CONV_2D")), "fp16 changes nothing here"),
        ("fp32", _facts(("float16", 99_000, "CONV_2D")), "weights are not float32: 99,000 float16 in CONV_2D"),
    ],
)
def test_only_a_file_that_is_as_without_its_recipe_is_refused(name: str, facts: FileFacts, refusal: str | None) -> None:
    found = check_weights(facts, RECIPES[name])
    assert (found is None) == (refusal is None)
    assert found is None or refusal is None or re.search(refusal, found[0])


@pytest.mark.parametrize(
    ("name", "facts", "values", "size_bytes", "run", "said"),
    [
        ("int8", _facts(("int8", 99_000, "CONV_2D")), _VALUES, 140_000, True, None),
        (
            "int8",
            _facts(("int8", 50_000, "CONV_2D"), ("float32", 30_000, "EMBEDDING_LOOKUP"), ("float32", 19_000, "GATHER")),
            _VALUES,
            280_000,
            True,
            "49.5 % of the weights are not int8: 30,000 float32 in EMBEDDING_LOOKUP, 19,000 float32 in GATHER",
        ),
        ("fp32", _facts(("float32", 50_000, "CONV_2D")), _VALUES, 220_000, True, None),
        ("fp32", _facts(("float32", 50_000, "CONV_2D")), _VALUES, 220_000, False, "the model computes with 100,000"),
        ("fp32", _facts(("float32", 160_000, "CONV_2D")), _VALUES, 680_000, True, "are stored for each"),
        ("fp32", _facts(("float32", 160_000, "CONV_2D")), None, 680_000, True, None),
        ("int8", _facts(("int8", 99_000, "CONV_2D")), _VALUES, 540_000, True, "its weights and operators explain"),
    ],
)
def test_the_rest_is_said(
    name: str, facts: FileFacts, values: int | None, size_bytes: int, run: bool, said: str | None
) -> None:
    found = list(remarks(facts, RECIPES[name], values, size_bytes, run=run))
    assert len(found) == (0 if said is None else 1)
    assert said is None or said in found[0]


def test_the_share_of_the_delegate_is_of_work() -> None:
    calls = [*(Call("_to_dim_order_copy") for _ in range(18)), Call("XNNConv2d", 1_000_000, delegated=True)]
    facts = FileFacts.of([], calls, {})
    assert facts.delegated_share is not None and facts.delegated_share > 99.99
    assert facts.undelegated_ops == {"_to_dim_order_copy": 18}


def test_convolutions_outside_of_the_backend_are_named_however_right_they_are() -> None:
    kinds = {"aten::convolution": "convolution", "aten::mm": "linear"}
    calls = [Call("aten::convolution", 900), Call("aten::convolution", 600), Call("aten::mm", 500), Call("add", 10)]
    slow = FileFacts.of([], calls, kinds)
    assert slow.heavy_ops == {"aten::convolution": 74.6, "aten::mm": 24.9}
    (said,) = remarks(slow, RECIPES["fp32"], None, 20_000, run=True)
    assert said == (
        "multiplies and adds outside of its backend, where that takes 10 to 200 times as long: "
        "2 x aten::convolution (75 %), 1 x aten::mm (25 %)"
    )
    fast = FileFacts.of([], [replace(call, delegated=True) for call in calls], kinds)
    few = FileFacts.of([], [*[replace(call, delegated=True) for call in calls], Call("aten::mm", 100)], kinds)
    assert [*remarks(fast, RECIPES["fp32"], None, 20_000, run=True)] == []
    assert [*remarks(few, RECIPES["fp32"], None, 20_000, run=True)] == []
    without = FileFacts.undelegated([], ["aten::convolution"], kinds)  # a format that knows no delegate
    assert [*remarks(without, RECIPES["fp32"], None, 20_000, run=True)] == []
