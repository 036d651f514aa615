"""JAX functions and Flax modules as source models, and as modules of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch
from support import jax_models
from support.jax_tasks import spec

from edgekit.errors import ConversionError, UsageError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.jax import in_singles
from edgekit.pipeline.sources.jax_identity import identity
from edgekit.tensors import TensorSpec

NAMES = ("mlp", "cnn", "attention", "recurrent", "embedding", "enlarging", "branching", "looping", "many", "bounds")


def predicted(source: Any) -> dict[str, np.ndarray]:
    named = zip(source.signature.inputs, source.example, strict=True)
    return dict(source.predict({each.name: array for each, array in named}))


def called(name: str, arrays: Any) -> list[np.ndarray]:
    """What the model itself gives."""
    with in_singles():
        return _called(getattr(jax_models, name)(), arrays)


def _called(made: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    function, *rest = made if isinstance(made, tuple) else (made,)
    params = [each for each in rest if not isinstance(each, jax.ShapeDtypeStruct | tuple)]
    if hasattr(function, "eval"):
        function.eval()
    result = function.apply(params[0], *arrays) if hasattr(function, "apply") else function(*params, *arrays)
    return [np.asarray(each) for each in jax.tree.leaves(result)]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_computes_what_its_function_does_in_jax_and_in_torch(name: str) -> None:
    source = open_source(spec(name))
    expected = called(name, source.example)
    for found, value in zip(predicted(source).values(), expected, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-5)
    tensors = tuple(torch.from_numpy(np.array(array)) for array in source.example)
    results = torch.export.export(source.torch_module(), tensors).module()(*tensors)
    results = [results] if isinstance(results, torch.Tensor) else results
    for result, value, output in zip(results, expected, source.signature.outputs, strict=True):
        assert (tuple(result.shape), str(result.dtype)) == (output.shape, f"torch.{output.dtype}")
        np.testing.assert_allclose(result.numpy(), value, atol=1e-5)


@pytest.mark.parametrize("name", ["inner_halves", "half_weights"])
def test_half_precision_is_computed_in_single(name: str) -> None:
    source = open_source(spec(name))
    (computed,) = predicted(source).values()
    tensors = [torch.from_numpy(np.array(array)) for array in source.example]
    np.testing.assert_allclose(source.torch_module()(*tensors).numpy(), computed, atol=1e-5)
    (given,) = called(name, source.example)
    np.testing.assert_allclose(computed, given, atol=0.05)
    assert not np.allclose(computed, given, atol=1e-5), "it was not in half precision"


def test_signatures_have_the_names_of_parameters_and_keys() -> None:
    cnn, embedding = open_source(spec("cnn")), open_source(spec("embedding"))
    assert cnn.signature.inputs == (TensorSpec("image", (1, 12, 12, 1), "float32"),)
    assert [each.name for each in cnn.signature.outputs] == ["mean", "scores"]
    assert [each.name for each in embedding.signature.outputs] == ["output_0", "output_1"]
    assert embedding.signature.inputs[0].dtype == "int32"
    assert open_source(spec("mlp")).parameter_count == 8 * 16 + 16 + 16 * 3


def test_a_module_has_its_weights_once() -> None:
    module = open_source(spec("mlp")).torch_module()
    assert sum(each.numel() for each in module.parameters()) == 8 * 16 + 16 + 16 * 3


def test_convolutions_keep_their_layout_until_it_matters() -> None:
    source = open_source(spec("cnn"))
    tensors = tuple(torch.from_numpy(np.array(array)) for array in source.example)
    graph = torch.export.export(source.torch_module(), tensors).graph
    turned = [
        node for node in graph.nodes if "permute" in str(node.target) and node.meta["val"].numel() > 8 * 3 * 3 * 8
    ]
    assert len(turned) <= 1  # where the image comes in; what is flattened has to be turned back, and is smaller


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("drawing", "EK-SOURCE", "draws random numbers (random_"),
        ("endless", "EK-SOURCE", "a loop whose length depends on values (lax.while_loop)"),
        ("printing", "EK-SOURCE", "calls Python while it runs"),
        ("long", "EK-SOURCE", "a loop of 50,000 steps (lax.scan)"),
        ("concrete", "EK-SOURCE", "does not take x: float32[1, 4]: Attempted boolean conversion"),
        ("batched", "EK-SOURCE", "has the shape [8, 4]"),
        ("reducing", "EK-SOURCE", "the model's output 'output' has the shape []"),
        ("halved", "EK-SOURCE", "the model's output 'output' is bfloat16"),
        ("nothing", "EK-CODE", "nothing() returned int"),
        ("bare", "EK-CODE", "returned a module without its variables"),
        ("none", "EK-CODE", "has no function 'none'"),
    ],
)
def test_what_no_file_can_do_is_said_in_one_line(name: str, code: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(spec(name))
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message
    assert caught.value.hint and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "what"),
    [("spectral", "fft"), ("rounded", "rounding to fewer bits"), ("whole_windows", "reduce_window over whole numbers")],
)
def test_what_has_no_form_in_torch_is_named(name: str, what: str) -> None:
    with pytest.raises(ConversionError, match=f"JAX's {what}.* has no equivalent") as caught:
        source = open_source(spec(name))
        source.torch_module()(*(torch.from_numpy(np.array(array)) for array in source.example))
    assert caught.value.code == "EK-UNSUPPORTED" and "--format tflite" in str(caught.value.hint)


def test_what_goes_in_has_to_be_said_and_to_fit() -> None:
    path = Path(jax_models.__file__)
    for name, inputs, code, words in (
        ("recurrent", (), "EK-SOURCE", "does not say what goes into it"),
        ("cnn", (TensorSpec("a", (1, 4), "float32"), TensorSpec("b", (1, 4), "float32")), "EK-DATA", "takes image"),
    ):
        with pytest.raises(UsageError) as caught:
            open_source(SourceSpec("jax", str(path), name, inputs=inputs))
        assert (caught.value.code, words in caught.value.message) == (code, True), caught.value.message


def test_nudging_moves_the_outputs_a_little() -> None:
    source = open_source(spec("mlp"))
    before = predicted(source)["output"]
    source.nudge(np.random.default_rng(0))
    after = predicted(source)["output"]
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(before, after, atol=1e-5)


def test_a_model_is_known_by_its_weights_and_its_program() -> None:
    one, again, other = (identity(spec(name), None) for name in ("mlp", "mlp", "cnn"))
    assert one == again and one.repeats
    assert one.structure != other.structure and one.weights != other.weights
