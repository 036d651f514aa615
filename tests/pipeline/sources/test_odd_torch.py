"""PyTorch models that an exported file cannot do the same as, and those that only look like it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import odd_models

from edgekit.errors import UsageError
from edgekit.pipeline.data import save_arrays
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.tasks import evaluate
from edgekit.pipeline.sources.torch import TorchSource
from edgekit.tensors import TensorSpec

FILE = Path(odd_models.__file__)
ROWS = np.random.default_rng(0).standard_normal((12, 8)).astype(np.float32)
TOKENS = {"token": np.random.default_rng(0).integers(0, 20, (12, 1)), "position": np.arange(12)[:, None] % 4}


def opened(tmp_path: Path, name: str, data: Mapping[str, np.ndarray]) -> TorchSource:
    save_arrays(tmp_path / "samples.npz", data)
    inputs = tuple(TensorSpec(key, (1, *array.shape[1:]), array.dtype.name) for key, array in data.items())
    return open_source(SourceSpec("torch", str(FILE), name, inputs=inputs, sample=str(tmp_path / "samples.npz")))


def results(source: TorchSource, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    pairs = zip(source.signature.inputs, source.data_names, strict=True)
    inputs = {spec.name: data[name] for spec, name in pairs}
    source.check(inputs)
    return source.predict(inputs)


def refusal(tmp_path: Path, name: str, data: Mapping[str, np.ndarray]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        results(opened(tmp_path, name, data), data)
    assert "\n" not in caught.value.message and caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", odd_models.STATEFUL)
def test_what_a_model_keeps_from_call_to_call_is_named(tmp_path: Path, name: str) -> None:
    error = refusal(tmp_path, name, TOKENS if name == "KeyValueCache" else {"x": ROWS})
    assert error.code == "EK-SOURCE" and "hand the state in and out" in str(error.hint)
    assert f"odd_models.py:{name} changes its {odd_models.STATEFUL[name]} from call to call" in error.message


def test_a_harmless_write_that_torch_cannot_export_is_named(tmp_path: Path) -> None:
    """With a torch that exports it, the model can be taken as it is."""
    with pytest.raises(Exception, match="nn_module_stack"), torch.no_grad():
        torch.export.export(odd_models.KeepsForALook().eval(), (torch.zeros(1, 8),))
    error = refusal(tmp_path, "KeepsForALook", {"x": ROWS})
    assert "changes its buffer 'past' at every call, in a way that cannot be exported" in error.message


@pytest.mark.parametrize("name", odd_models.RANDOM)
def test_a_model_that_draws_is_not_one_function(tmp_path: Path, name: str) -> None:
    error = refusal(tmp_path, name, {"x": ROWS})
    assert error.message.startswith(f"odd_models.py:{name} gives different outputs for the same input")
    said, hinted = odd_models.RANDOM[name]
    assert said in error.message and str(error.hint).endswith(hinted)


@pytest.mark.parametrize("name", odd_models.UNTRACEABLE)
def test_what_depends_on_values_is_said_with_the_line(tmp_path: Path, name: str) -> None:
    said, comment = odd_models.UNTRACEABLE[name]
    line = next(n for n, text in enumerate(FILE.read_text().splitlines(), 1) if text.endswith(f"# {comment}"))
    error = refusal(tmp_path, name, {"x": ROWS})
    assert f"odd_models.py:{name} {said} (odd_models.py:{line})" in error.message


@pytest.mark.parametrize("name", odd_models.REPEATABLE)
def test_what_only_looks_like_a_state_or_a_branch_is_taken(tmp_path: Path, name: str) -> None:
    source = opened(tmp_path, name, {"x": ROWS})
    (output,) = results(source, {"x": ROWS}).values()
    assert output.shape == (12, 3)
    module = getattr(odd_models, name)().eval()
    with torch.no_grad():
        expected = [module(torch.tensor(ROWS[k : k + 1])).numpy() for k in reversed(range(12))]
    np.testing.assert_array_equal(output, np.concatenate(expected[::-1]))


def test_a_batch_that_is_scaled_as_one_is_taken_sample_by_sample(tmp_path: Path) -> None:
    source = opened(tmp_path, "ByTheBatch", {"x": ROWS})
    (output,) = results(source, {"x": ROWS}).values()
    low, high = ROWS.min(1, keepdims=True), ROWS.max(1, keepdims=True)
    np.testing.assert_allclose(output, (ROWS - low) / (high - low), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("Plain", True),
        ("Levels", True),
        ("ByTheBatch", False),
        ("Scalar", False),
        ("Squeezed", False),
        ("OneOnly", False),
        ("GivesAnchors", False),
    ],
)
def test_whether_samples_may_come_together_is_found_with_the_data(tmp_path: Path, name: str, alike: bool) -> None:
    assert opened(tmp_path, name, {"x": ROWS}).takes_batches({"x": ROWS}) is alike


def test_what_is_not_a_number_proves_nothing(tmp_path: Path) -> None:
    (output,) = results(opened(tmp_path, "NanForZeros", {"x": ROWS}), {"x": ROWS}).values()
    np.testing.assert_allclose(output, ROWS / ROWS.std(1, ddof=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize(("name", "shape"), [("Scalar", (1,)), ("Squeezed", (1, 3)), ("TimeFirst", (1, 4, 1, 2))])
def test_an_output_without_an_axis_for_samples_gets_one(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    source = opened(tmp_path, name, {"x": ROWS})
    assert [spec.shape for spec in source.signature.outputs] == [shape]
    (output,) = results(source, {"x": ROWS}).values()
    module = getattr(odd_models, name)().eval()
    with torch.no_grad():
        for index in (0, 7):
            alone = torch.tensor(ROWS[index : index + 1])
            np.testing.assert_array_equal(output[index], module(alone).numpy().reshape(shape[1:]))
            np.testing.assert_array_equal(source.torch_module()(alone).numpy(), output[index : index + 1])


def test_a_parameter_may_be_returned(tmp_path: Path) -> None:
    outputs = results(opened(tmp_path, "GivesWeight", {"x": ROWS}), {"x": ROWS})
    module = odd_models.GivesWeight()
    np.testing.assert_array_equal(outputs["scale"], np.full((12,), 2.5, np.float32).reshape(outputs["scale"].shape))
    np.testing.assert_array_equal(outputs["weight"][7], module.two.weight.detach().numpy())


@pytest.mark.parametrize("name", odd_models.NAMES)
def test_outputs_have_names_that_say_where_they_are_from(tmp_path: Path, name: str) -> None:
    source = opened(tmp_path, name, {"x": ROWS})
    assert [spec.name for spec in source.signature.outputs] == odd_models.NAMES[name]
    outputs = results(source, {"x": ROWS})
    plain = results(opened(tmp_path, "Plain", {"x": ROWS}), {"x": ROWS})["output"]
    for number, array in enumerate(outputs.values(), 1):
        np.testing.assert_allclose(array, number * plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", odd_models.UNUSABLE)
def test_what_is_no_tensor_of_numbers_is_refused(tmp_path: Path, name: str) -> None:
    error = refusal(tmp_path, name, {"x": ROWS})
    assert odd_models.UNUSABLE[name] in error.message
    assert ("view_as_real" in str(error.hint)) is (name == "ReturnsComplex")


def named(text: str) -> dict[str, np.ndarray]:
    """``depth rgb``: the arrays for these, under other names after a colon."""
    arrays = {"depth": ROWS, "rgb": 2 * ROWS[::-1], "scale": np.full((12, 1), 3, np.float32)}
    return {word.partition(":")[2] or word: arrays[word.partition(":")[0]] for word in text.split()}


@pytest.mark.parametrize(
    ("name", "given", "signature"),
    [
        ("TwoInputs", "depth rgb", ["depth", "rgb"]),
        ("TwoInputs", "rgb depth", ["depth", "rgb"]),
        ("TwoInputs", "depth:arr_0 rgb:arr_1", ["depth", "rgb"]),
        ("TwoInputs", "rgb:arr_1 depth:arr_0", ["depth", "rgb"]),
        ("TwoInputs", "depth:x1 rgb:x2", ["depth", "rgb"]),
        ("Places", "depth:arr_0 rgb:arr_1", ["arr_0", "arr_1"]),
        ("Places", "rgb:arr_1 depth:arr_0", ["arr_0", "arr_1"]),
        ("Keywords", "rgb depth", ["rgb", "depth"]),
        ("KeywordOnly", "depth rgb", ["rgb", "depth"]),
        ("scripted", "rgb depth", ["depth", "rgb"]),
        ("traced", "rgb depth", ["depth", "rgb"]),
        ("traced", "rgb:arr_1 depth:arr_0", ["depth", "rgb"]),
    ],
)
def test_every_array_goes_where_it_belongs(tmp_path: Path, name: str, given: str, signature: list[str]) -> None:
    data = named(given)
    source = opened(tmp_path, name, data)
    assert [spec.name for spec in source.signature.inputs] == signature
    (output,) = results(source, data).values()
    module = odd_models.TwoInputs().eval()
    with torch.no_grad():
        expected = module(torch.tensor(ROWS), torch.tensor(2 * ROWS[::-1].copy())).numpy()
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    exported = torch.export.export(source.torch_module(), tuple(map(torch.from_numpy, source.example))).module()
    tensors = (torch.from_numpy(np.ascontiguousarray(data[each][5:6])) for each in source.data_names)
    np.testing.assert_allclose(exported(*tensors).detach().numpy(), output[5:6], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "given", "lists"),
    [
        (
            "TwoInputs",
            "depth:image rgb:depth",
            "the data's inputs are image, depth; odd_models.py:TwoInputs takes depth, rgb",
        ),
        (
            "TwoInputs",
            "depth:a rgb:b",
            "the data's inputs are a, b; odd_models.py:TwoInputs takes depth, rgb, scale (opt",
        ),
        (
            "TwoInputs",
            "depth",
            "the data's inputs are depth; odd_models.py:TwoInputs takes depth, rgb, scale (optional)",
        ),
        ("TwoInputs", "depth:x", "the data's inputs are x;"),
        ("TwoInputs", "depth scale", "the data's inputs are depth, scale;"),
        ("TwoInputs", "depth rgb scale:factor", "the data's inputs are depth, rgb, factor;"),
        ("TwoInputs", "depth:x1 rgb:x3", "the data's inputs are x1, x3;"),
        ("Places", "depth rgb", "the data's inputs are depth, rgb; odd_models.py:Places takes *args"),
        ("KeywordOnly", "depth rgb:image", "takes rgb, depth"),
        ("scripted", "depth rgb:image", "the data's inputs are depth, image; odd_models.py:scripted takes depth, rgb"),
    ],
)
def test_names_that_match_in_part_are_never_taken_by_place(tmp_path: Path, name: str, given: str, lists: str) -> None:
    error = refusal(tmp_path, name, named(given))
    assert error.code == "EK-DATA" and lists in error.message and "arr" in str(error.hint)


def saved(path: Path, name: str, arguments: tuple[Any, ...], named: dict[str, torch.Tensor] | None = None) -> Path:
    torch.export.save(torch.export.export(getattr(odd_models, name)().eval(), arguments, named), path)
    return path


def of_file(path: Path, data: Mapping[str, np.ndarray]) -> TorchSource:
    save_arrays(path.with_suffix(".npz"), data)
    inputs = tuple(TensorSpec(key, (1, *array.shape[1:]), array.dtype.name) for key, array in data.items())
    return open_source(SourceSpec("pt2", str(path), inputs=inputs, sample=str(path.with_suffix(".npz"))))


@pytest.mark.parametrize("by_name", [False, True])
def test_an_exported_programs_inputs_are_matched_by_name_too(tmp_path: Path, by_name: bool) -> None:
    one, other = torch.zeros(1, 8), torch.ones(1, 8)  # one tensor for both would be one input to torch.export
    arguments = ((), {"rgb": one, "depth": other}) if by_name else ((one, other), {})
    path = saved(tmp_path / "two.pt2", "TwoInputs", *arguments)
    for given in ("rgb depth", "depth:arr_0 rgb:arr_1"):
        if by_name and "arr" in given:
            given = "rgb:arr_0 depth:arr_1"
        data = named(given)
        source = of_file(path, data)
        (output,) = results(source, data).values()
        expected = results(opened(tmp_path, "TwoInputs", named("depth rgb")), named("depth rgb"))["output"]
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match=r"inputs are image, rgb; two\.pt2 takes"):
        of_file(path, named("depth:image rgb"))


def test_made_up_samples_of_two_inputs_are_not_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "two.pt2", "TwoInputs", (torch.zeros(1, 8), torch.ones(1, 8)))
    depth, rgb = open_source(SourceSpec("pt2", str(path))).example
    assert not np.array_equal(depth, rgb)


def test_an_exported_program_with_a_state_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "state.pt2", "CopiesInto", (torch.zeros(1, 8),))
    with pytest.raises(UsageError, match=r"state\.pt2 changes its buffer 'past' from call to call"):
        results(of_file(path, {"x": ROWS}), {"x": ROWS})


def test_an_exported_program_takes_ids_of_any_width(tmp_path: Path) -> None:
    path = saved(tmp_path / "cache.pt2", "Lookup", (torch.zeros((1, 1), dtype=torch.long),))
    source = of_file(path, {"token": TOKENS["token"].astype(">i4")})
    assert source.example[0].dtype == np.int64
    assert results(source, {"token": TOKENS["token"]})["output"].shape == (12, 1, 8)


def test_an_optional_input_may_be_given(tmp_path: Path) -> None:
    data = named("scale rgb depth")
    source = opened(tmp_path, "TwoInputs", data)
    assert [spec.name for spec in source.signature.inputs] == ["depth", "rgb", "scale"]
    with_scale = results(source, data)["output"]
    without = results(opened(tmp_path, "TwoInputs", named("depth rgb")), named("depth rgb"))["output"]
    np.testing.assert_allclose(with_scale, 3 * without, rtol=1e-5)


def test_an_input_may_be_called_labels_or_file(tmp_path: Path) -> None:
    data = {"file": ROWS, "labels": -ROWS}
    source = opened(tmp_path, "Labels", data)
    assert [spec.name for spec in source.signature.inputs] == ["labels", "file"]
    assert list(results(source, data)) == ["labels", "file"]


def test_the_first_sample_is_what_a_model_is_traced_with(tmp_path: Path) -> None:
    source = opened(tmp_path, "KeyValueCache", {name: array[6:] for name, array in TOKENS.items()})
    assert [int(array.item()) for array in source.example] == [int(TOKENS["token"][6, 0]), 2]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int16"])
def test_whole_numbers_of_any_width_are_ids(tmp_path: Path, dtype: str) -> None:
    (tmp_path / "ids.py").write_text("from torch import nn\ndef make():\n    return nn.Embedding(20, 3)\n")
    ids = TOKENS["token"].astype(dtype)
    spec = SourceSpec("torch", str(tmp_path / "ids.py"), "make", inputs=(TensorSpec("ids", (1, 1), dtype),))
    try:
        source = open_source(spec)
    except UsageError as error:  # torch 2.13 takes int32 and int64 for ids
        assert dtype not in ("int32", "int64")
        assert "int64" in str(error.hint) and "\n" not in error.message
    else:
        assert source.predict({"ids": ids})["output"].shape == (12, 1, 3)


def test_a_model_that_computes_in_double_is_not_told_to_change_its_samples(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        opened(tmp_path, "InDouble", {"x": ROWS})
    assert "does not take x: float32[1, 8]" in caught.value.message
    assert "leave .double() out" in str(caught.value.hint)


def test_the_sample_that_gives_no_number_is_named(tmp_path: Path) -> None:
    save_arrays(tmp_path / "samples.npz", {"x": ROWS})
    spec = SourceSpec("torch", str(FILE), "Logarithm", inputs=(TensorSpec("x", (1, 8), "float32"),))
    with pytest.raises(UsageError, match="holds NaN or infinity, first for sample 0") as caught:
        evaluate(
            source=spec.to_json(),
            samples=str(tmp_path / "samples.npz"),
            names={"x": "x"},
            outputs=str(tmp_path / "outputs.npz"),
        )
    assert "logarithm" in str(caught.value.hint)
