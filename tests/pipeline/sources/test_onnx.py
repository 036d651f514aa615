"""``.onnx`` files as sources: what is imported is what ONNX Runtime computes, and what cannot be says so by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from support import onnx_models
from support.onnx_models import model_of, opened

from edgekit.errors import ConversionError, UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.onnx import OnnxSource, open_source
from edgekit.tensors import TensorSpec

EXAMPLE = torch.randn(1, 4, 24, generator=torch.Generator().manual_seed(1))
node = helper.make_node


@pytest.fixture(scope="module", params=["old", "new"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of `support.onnx_models`, as each exporter writes it."""
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    module = onnx_models.conv_lstm_attention()
    return onnx_models.export(module, EXAMPLE, path, new=request.param == "new", external_data=False)


def parity(source: OnnxSource) -> float:
    """The largest difference of the imported module from the file, as ONNX Runtime runs it."""
    samples = {
        spec.name: np.random.default_rng(0).standard_normal((3, *spec.shape[1:])).astype(spec.dtype)
        for spec in source.signature.inputs
    }
    expected, module, worst = source.predict(samples), source.torch_module(), 0.0
    for at in range(3):
        with torch.no_grad():
            found = module(*(torch.from_numpy(each[at : at + 1]) for each in samples.values()))
        found = found if isinstance(found, tuple) else (found,)
        for spec, tensor in zip(source.signature.outputs, found, strict=True):
            assert tuple(tensor.shape) == spec.shape
            worst = max(worst, float(np.abs(tensor.numpy() - expected[spec.name][at : at + 1]).max()))
    return worst


def test_the_import_reads_like_a_written_module(network: Path) -> None:
    source = open_source(SourceSpec("onnx", str(network)))
    assert [spec.name for spec in source.signature.inputs] == ["x"] and source.signature.outputs[0].name == "y"
    assert parity(source) < 1e-5
    module = source.torch_module()
    kinds = [type(part).__name__ for part in module.children()]
    assert kinds.count("Conv1d") == kinds.count("LSTM") == kinds.count("LayerNorm") == 1
    assert kinds.count("Linear") >= 4 and not any(kind.startswith("BatchNorm") for kind in kinds)
    native = (
        sum(each.numel() for each in onnx_models.conv_lstm_attention().parameters()) - 16
    )  # one of batch norm's two
    assert source.parameter_count == pytest.approx(native, rel=0.01)
    torch.export.export(module, (EXAMPLE,))


def test_open_axes_are_given_or_asked_for(tmp_path: Path) -> None:
    model = model_of([node("Relu", ["pixels"], ["y"])], {"pixels": ("float32", ["n", 3, "h", "w"])}, ["y"])
    with pytest.raises(UsageError) as caught:
        opened(model, tmp_path / "m.onnx")
    assert caught.value.message == "m.onnx's input 'pixels' leaves sizes open: [n, 3, h, w]"
    assert caught.value.hint == "give them: --shape pixels=1,3,224,224"
    source = opened(model, tmp_path / "m.onnx", shapes={"pixels": (1, 3, 8, 6)})
    assert source.signature.inputs[0].shape == source.signature.outputs[0].shape == (1, 3, 8, 6)
    for shape, says in (((1, 4, 8, 8), "does not fit"), ((1, 3, 8), "does not fit")):
        with pytest.raises(UsageError, match=says):
            opened(model, tmp_path / "m.onnx", shapes={"pixels": shape})
    with pytest.raises(UsageError, match="has no input 'pixel'") as caught:
        opened(model, tmp_path / "m.onnx", shapes={"pixel": (1, 3, 8, 8)})
    assert "pixels" in str(caught.value.hint)


def test_open_axes_are_those_of_the_data(tmp_path: Path) -> None:
    inputs = {"x": ("float32", ["n", "time"]), "state": ("float32", [2, "n", "size"])}
    nodes = [node("Relu", ["x"], ["y"]), node("Neg", ["state"], ["z"])]
    data = (TensorSpec("x", (1, 9), "float32"), TensorSpec("state", (1, 2, 1, 5), "float32"))
    source = opened(model_of(nodes, inputs, ["y", "z"]), tmp_path / "m.onnx", inputs=data)
    assert [spec.shape for spec in source.signature.inputs] == [(1, 9), (1, 2, 1, 5)]


def test_axes_of_one_name_have_one_size(tmp_path: Path) -> None:
    inputs = {"x": ("float32", ["batch", "time"]), "state": ("float32", [2, "batch", "time"])}
    model = model_of([node("Add", ["x", "state"], ["y"])], inputs, ["y"])
    source = opened(model, tmp_path / "m.onnx", shapes={"x": (1, 7)})
    assert [spec.shape for spec in source.signature.inputs] == [(1, 7), (1, 2, 1, 7)]


def test_axes_that_are_called_a_question_mark_have_no_name(tmp_path: Path) -> None:
    """Paddle's exporter calls all that it does not know so."""
    model = model_of([node("Relu", ["x"], ["y"])], {"x": ("float32", ["?", 3, "?", "?"])}, ["y"])
    data = (TensorSpec("x", (1, 3, 48, 192), "float32"),)
    assert opened(model, tmp_path / "m.onnx", inputs=data).signature.inputs[0].shape == (1, 3, 48, 192)
    with pytest.raises(UsageError, match=r"leaves sizes open: \[\?, 3, \?, \?\]"):
        opened(model, tmp_path / "m.onnx")


def test_what_has_no_axis_for_samples_gets_one(tmp_path: Path) -> None:
    inputs = {"x": ("float32", [1, 3]), "state": ("float32", [2, 1, 3]), "gain": ("float32", [])}
    nodes = [
        node("Mul", ["x", "gain"], ["scaled"]),
        node("Add", ["state", "scaled"], ["next"]),
        node("ReduceSum", ["next"], ["total"], keepdims=0),
    ]
    source = opened(model_of(nodes, inputs, ["next", "total"]), tmp_path / "m.onnx")
    assert [spec.shape for spec in source.signature.inputs] == [(1, 3), (1, 2, 1, 3), (1,)]
    assert [spec.shape for spec in source.signature.outputs] == [(1, 2, 1, 3), (1,)]
    assert parity(source) < 1e-6


def test_half_precision_is_computed_in_float32(tmp_path: Path, network: Path) -> None:
    source = opened(onnx_models.float16(onnx.load(network)), tmp_path / "half.onnx")
    assert {spec.dtype for spec in (*source.signature.inputs, *source.signature.outputs)} == {"float32"}
    assert parity(source) < 1e-5


def test_weights_may_lie_in_files_beside(tmp_path: Path) -> None:
    path = onnx_models.export(onnx_models.conv_lstm_attention(), EXAMPLE, tmp_path / "m.onnx", new=True)
    onnx.save_model(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location="m.weights",
        size_threshold=0,
        convert_attribute=True,
    )
    assert (tmp_path / "m.weights").stat().st_size > 10_000
    assert parity(open_source(SourceSpec("onnx", str(path)))) < 1e-5
    whole = (tmp_path / "m.weights").read_bytes()
    (tmp_path / "m.weights").write_bytes(whole[:-100])
    with pytest.raises(UsageError, match=r"is not whole in the file 'm\.weights'"):
        open_source(SourceSpec("onnx", str(path)))
    (tmp_path / "m.weights").unlink()
    with pytest.raises(UsageError, match=r"is in the file 'm\.weights', which is not beside it"):
        open_source(SourceSpec("onnx", str(path)))


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "link"])
def test_files_elsewhere_are_not_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(12))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "link").symlink_to(tmp_path / "secret")
    model = model_of(
        [node("Add", ["x", "w"], ["y"])], {"x": ("float32", [1, 3])}, ["y"], {"w": np.zeros(3, np.float32)}
    )
    (weight,) = model.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=place)
    with pytest.raises(UsageError, match="which is not in the model's own folder") as caught:
        opened(model, tmp_path / "own" / "m.onnx")
    assert caught.value.code == "EK-CONTENTS"


def test_an_operator_that_is_not_imported_is_named(tmp_path: Path) -> None:
    vectorizer = node(
        "TfIdfVectorizer", ["x"], ["y"], name="words", mode="TF", max_gram_length=1, max_skip_count=0,
        min_gram_length=1, ngram_counts=[0], ngram_indexes=[0, 1], pool_int64s=[2, 3],
    )  # fmt: skip
    with pytest.raises(ConversionError) as caught:
        opened(model_of([vectorizer], {"x": ("int64", [1, 4])}, ["y"]), tmp_path / "m.onnx")
    assert caught.value.code == "EK-UNSUPPORTED"
    assert caught.value.message == "TfIdfVectorizer ('words') is an operator that edgekit does not import"


def test_sizes_that_depend_on_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"NonZero \('y'\) gives as many numbers as it finds"):
        opened(model_of([node("NonZero", ["x"], ["y"])], {"x": ("float32", [1, 4])}, ["y"]), tmp_path / "m.onnx")
    inputs = {"x": ("float32", [1, 4]), "shape": ("int64", [2])}
    model = model_of([node("Reshape", ["x", "shape"], ["y"])], inputs, ["y"])
    with pytest.raises((ConversionError, UsageError)) as caught:
        opened(model, tmp_path / "m.onnx")
    assert "shape" in caught.value.message


def test_an_input_is_made_a_constant(tmp_path: Path) -> None:
    inputs = {"x": ("float32", [1, 4]), "shape": ("int64", [3]), "gain": ("float32", [])}
    nodes = [node("Reshape", ["x", "shape"], ["r"]), node("Mul", ["r", "gain"], ["y"])]
    model = model_of(nodes, inputs, ["y"])
    source = opened(model, tmp_path / "m.onnx", constants={"shape": (1, 2, 2), "gain": (0.5,)})
    assert [spec.name for spec in source.signature.inputs] == ["x"]
    assert source.signature.outputs[0].shape == (1, 2, 2) and parity(source) == 0
    for constants, says in (
        ({"shape": (1.0, 2.0, 2.0, 1.0)}, "does not fit"),
        ({"shape": (1, 2.5, 2)}, "does not fit"),
        ({"form": (1,)}, "has no input 'form'"),
        ({"shape": (1, 2, 2), "gain": (1,), "x": (1, 2, 3, 4)}, "has no inputs"),
    ):
        with pytest.raises(UsageError, match=says):
            opened(model, tmp_path / "m.onnx", constants=constants)


@pytest.mark.parametrize(("version", "said"), [(8, "operator set 8"), (99, "operator set 99")])
def test_other_operator_sets_are_refused(tmp_path: Path, version: int, said: str) -> None:
    model = model_of([node("Relu", ["x"], ["y"])], {"x": ("float32", [1, 4])}, ["y"], opset=version)
    with pytest.raises(UsageError, match=said) as caught:
        opened(model, tmp_path / "m.onnx")
    assert "opset_version=18" in str(caught.value.hint)


def test_branches(tmp_path: Path) -> None:
    """What decides is known, and the other branch is not there; or it is not, and both are computed."""
    branches = {
        name: helper.make_graph([node(op, ["x"], ["z"])], name, [], [helper.make_empty_tensor_value_info("z")])
        for name, op in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Equal", ["s", "two"], ["flags"]),
        node("ReduceMin", ["i"], ["one"], keepdims=0),
    ]
    nodes[2:] = [node("Cast", ["flags"], ["i"], to=7), nodes[2], node("Cast", ["one"], ["is"], to=9)]
    known = model_of(
        [*nodes, node("If", ["is"], ["y"], **branches)], {"x": ("float32", [1, 2])}, ["y"], {"two": np.array([1, 2])}
    )
    source = opened(known, tmp_path / "known.onnx")
    assert parity(source) == 0 and "where" not in source.torch_module().code
    open_one = model_of(
        [
            node("ReduceSum", ["x"], ["sum"], keepdims=0),
            node("Greater", ["sum", "zero"], ["is"]),
            node("If", ["is"], ["y"], **branches),
        ],
        {"x": ("float32", [1, 2])},
        ["y"],
        {"zero": np.zeros((), np.float32)},
    )
    assert parity(opened(open_one, tmp_path / "open.onnx")) == 0


def test_the_last_bit_of_the_weights_moves_the_outputs(network: Path) -> None:
    source = open_source(SourceSpec("onnx", str(network)))
    samples = {"x": EXAMPLE.numpy()}
    before = source.predict(samples)["y"]
    source.nudge(np.random.default_rng(0))
    after = source.predict(samples)["y"]
    assert 0 < np.abs(before - after).max() < 1e-4


def test_no_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = model_of([node("Relu", ["x"], ["y"])], {"x": ("float32", [1, 4])}, ["y"])
    path.write_bytes(model.SerializeToString())
    code = (
        "import sys; from edgekit.pipeline.sources import SourceSpec, open_source; "
        f"open_source(SourceSpec('onnx', {str(path)!r})).torch_module(); "
        "assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
