"""Model files as they are, in place of bundles: what they take, what they give, and what is said of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import SmallModels
from support import given_files
from support.native_models import NativeModels
from support.shared import Shared
from support.typed_models import TypedModels, build_typed_models

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.manifest import GIVEN_VERSION, SCHEMA_VERSION
from edgekit.runtime import given
from edgekit.runtime.verification import FAILED, NOT_RUN, PASSED, Verification

_ROW = np.array([[1.0, -2.0, 0.5, 3.0]], np.float32)


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def ran(path: Path, **options: object) -> list[Verification]:
    made = given.bundle_at(path, given.Options(**options))  # type: ignore[arg-type]
    (found,) = edgekit.verify(made)
    return [row for row in found.rows if row.status != NOT_RUN]


def refusal(path: Path, **options: object) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        edgekit.load(path, **options)  # type: ignore[call-overload]
    return caught.value


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_a_file_gives_what_the_model_it_was_made_of_does(
    small_models: SmallModels, tmp_path: Path, format: str
) -> None:
    path = written(tmp_path, f"image.{format}", small_models.files[f"image.{format}"])
    with edgekit.load(path) as model:
        (name,) = (spec.name for spec in model.signature.inputs)
        for image, scores in zip(small_models.images[:3], small_models.scores, strict=False):
            np.testing.assert_allclose(model({name: image[None]})[0], scores, atol=1e-5)
    pair = written(tmp_path, f"pair.{format}", small_models.files[f"pair.{format}"])
    with edgekit.load(pair) as model:
        names = [spec.name for spec in model.signature.inputs]
        outputs = model({name: array[:1] for name, array in zip(names, small_models.pair_inputs, strict=True)})
        for found, expected in zip(outputs.values(), small_models.pair_outputs, strict=True):
            np.testing.assert_allclose(found, expected[:1], atol=1e-5)


def test_names_are_kept_as_far_as_a_bundle_takes_them(small_models: SmallModels, tmp_path: Path) -> None:
    """Without signatures, tensors have names that no one checks: the same twice, or ones that are no text."""
    names = ["a\\b\n.npy", "a\\b\n.npy", "", ""]
    data = given_files.without_signatures(small_models.files["pair.tflite"], names=names)
    with edgekit.load(written(tmp_path, "pair.tflite", data)) as model:
        assert [spec.name for spec in model.signature.inputs] == ["a_b _npy", "a_b _npy_1"]
        assert [spec.name for spec in model.signature.outputs] == ["output_0", "output_1"]
        shapes = {spec.shape: spec.name for spec in model.signature.inputs}
        left, right = small_models.pair_inputs
        found = model({shapes[1, 4]: left[:1], shapes[1, 6]: right[:1]})
        np.testing.assert_allclose(found["output_0"], small_models.pair_outputs[0][:1], atol=1e-5)
    odd = given_files.doubling_onnx((1, 4), names=("in\\put.npy", "out\nput"))
    with edgekit.load(written(tmp_path, "odd.onnx", odd)) as model:
        assert [spec.name for spec in model.signature.inputs] == ["in_put_npy"]
        np.testing.assert_array_equal(model(_ROW), 2 * _ROW)
        assert [spec.name for spec in model.signature.outputs] == ["out put"]


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_an_open_batch_is_one_and_other_axes_are_asked_for(tmp_path: Path, format: str) -> None:
    def doubling(shape: list[int]) -> Path:
        if format == "tflite":
            data = given_files.doubling_tflite([max(size, 1) for size in shape], shape)
        else:
            data = given_files.doubling_onnx([None if size < 0 else size for size in shape])
        return written(tmp_path, f"double.{format}", data)

    with edgekit.load(doubling([-1, 4])) as model:
        assert model.signature.inputs[0].shape == model.signature.outputs[0].shape == (1, 4)
        np.testing.assert_array_equal(model(_ROW), 2 * _ROW)
    path = doubling([-1, 3, -1, -1])
    error = refusal(path)
    assert error.code == "EK-ARGUMENT" and "'x'" in error.message
    assert "--shape x=1,3,H,W" in str(error.hint)
    for isolated in (False, True):
        with edgekit.load(path, shapes={"x": (1, 3, 5, 7)}, isolated=isolated) as model:
            image = np.arange(105, dtype=np.float32).reshape(1, 3, 5, 7)
            np.testing.assert_array_equal(model(image), 2 * image)
    for shape, words in (((1, 4, 5, 7), "does not fit"), ((1, 3, 5), "does not fit")):
        assert words in refusal(path, shapes={"x": shape}).message
    assert "no input has that name" in refusal(path, shapes={"z": (1,)}).message
    assert "MiB, more than" in refusal(path, shapes={"x": (1, 3, 9999, 9999)}).message
    (row,) = ran(path, shapes={"x": (2, 3, 4, 4)})
    assert (row.status, row.is_given, row.host_rel_diff) == (PASSED, True, 0.0)


def test_axes_of_one_name_have_one_size(tmp_path: Path) -> None:
    """As the states of a recurrent network: their second axis is the batch."""
    nodes = [helper.make_node("Add", ["state", "state"], ["next"]), helper.make_node("Identity", ["x"], ["y"])]
    sides = {"x": ["batch", "time"], "state": [2, "batch", 3]}, {"y": ["batch", "time"], "next": [2, "batch", 3]}
    path = written(tmp_path, "state.onnx", given_files.onnx_file(nodes, *sides))
    with edgekit.load(path, shapes={"x": (1, 5)}) as model:
        assert [spec.shape for spec in model.signature.inputs] == [(1, 5), (2, 1, 3)]
        assert [spec.shape for spec in model.signature.outputs] == [(1, 5), (2, 1, 3)]
    with edgekit.load(path, shapes={"x": (4, 5)}) as model:
        assert model.signature.inputs[1].shape == (2, 4, 3)
    error = refusal(path, shapes={"x": (1, 5), "state": (2, 2, 3)})
    assert "'batch' is 1 elsewhere" in error.message
    (row,) = ran(path, shapes={"x": (1, 5)})  # whose state has two rows, and no batch in front
    assert row.status == PASSED


def test_outputs_whose_size_the_file_does_not_say_are_measured(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=1)]
    path = written(tmp_path, "twice.onnx", given_files.onnx_file(nodes, {"x": ["n", 3]}, {"y": ["n", "m"]}))
    with edgekit.load(path) as model:
        assert [(spec.name, spec.shape) for spec in model.signature.outputs] == [("y", (1, 6))]
    places = [helper.make_node("NonZero", ["x"], ["y"])]
    data = given_files.onnx_file(
        [*places, helper.make_node("Cast", ["y"], ["z"], to=1)], {"x": [1, 4]}, {"z": [2, "k"]}
    )
    with (
        edgekit.load(written(tmp_path, "places.onnx", data)) as model,
        pytest.raises(EdgekitError, match="came out as") as caught,
    ):
        model(np.array([[0, 0, 0, 1]], np.float32))
    assert caught.value.code == "EK-RUN" and "depends on the values" in str(caught.value.hint)


def test_quantized_numbers_are_kept_or_made_floats(tmp_path: Path) -> None:
    path = written(tmp_path, "int8.tflite", given_files.int8_doubling_tflite())
    with edgekit.load(path) as model:
        assert {spec.dtype for spec in (*model.signature.inputs, *model.signature.outputs)} == {"int8"}
        found = model(np.array([[3, 5, 7, -128]], np.int8))
        np.testing.assert_array_equal(found, [[-2, 0, 2, -128]])  # 0, 1, 2 and what is below all that int8 has
    for isolated in (False, True):
        with edgekit.load(path, dequantize=True, isolated=isolated) as model:
            assert {spec.dtype for spec in (*model.signature.inputs, *model.signature.outputs)} == {"float32"}
            np.testing.assert_array_equal(model(np.array([[0.0, 1.0, 2.5, 1000.0]], np.float32)), [[0, 2, 5, 124]])
    with Bundle.open(given.bundle_at(path)) as bundle:
        (variant,) = bundle.manifest.variants
        assert variant.given is not None and variant.recipe == "int8"
        assert (variant.given.inputs["x"].scale, variant.given.inputs["x"].zero_point) == (0.5, 3)
    floats = written(tmp_path, "float.tflite", given_files.doubling_tflite((1, 4)))
    assert "nothing that float.tflite takes or gives is quantized" in refusal(floats, dequantize=True).message


def test_values_that_a_file_keeps_are_new_each_time_it_is_loaded(tmp_path: Path) -> None:
    path = written(tmp_path, "state.tflite", given_files.counting_tflite())
    with Bundle.open(given.bundle_at(path)) as bundle:
        assert bundle.manifest.variants[0].given is not None
        assert bundle.manifest.variants[0].given.is_stateful
        assert bundle.manifest.checks["samples"] == 1
    (row,) = ran(path)
    assert row.status == PASSED


@pytest.fixture(scope="module")
def typed() -> TypedModels:
    folder = Shared.once("typed", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_typed_models())))
    models: TypedModels = pickle.loads((folder / "models").read_bytes())
    return models


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_tensors_of_every_type_and_numbers(typed: TypedModels, tmp_path: Path, format: str) -> None:
    path = written(tmp_path, f"typed.{format}", typed.typed[format])
    with edgekit.load(path) as model:
        expected = {(spec.shape, spec.dtype) for spec in typed.typed_facts.signature.inputs}
        narrowed = {(shape, "int32" if (format, dtype) == ("tflite", "int64") else dtype) for shape, dtype in expected}
        assert {(spec.shape, spec.dtype) for spec in model.signature.inputs} == narrowed
    (row,) = ran(path)
    assert row.status == PASSED and row.host_rel_diff == 0.0


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_further_signatures_and_methods_are_there_by_name(typed: TypedModels, tmp_path: Path, format: str) -> None:
    path = written(tmp_path, f"coder.{format}", typed.coder[format])
    with edgekit.load(path) as model:  # the first, which is its main one
        main = {tuple(spec.shape for spec in model.signature.inputs)}
    for name, facts in typed.coder_facts.items():
        with edgekit.load(path, method=name) as model:
            main.discard(tuple(spec.shape for spec in model.signature.inputs))
            named = zip((spec.name for spec in model.signature.inputs), facts.inputs, strict=True)
            found = model(dict(named))
            arrays = [found] if isinstance(found, np.ndarray) else list(found.values())
            for array, expected in zip(arrays, facts.outputs, strict=True):
                np.testing.assert_allclose(array, expected, atol=1e-5)
    assert not main
    assert refusal(path, method="nothing").code == "EK-ARGUMENT"


def test_shapes_that_no_batch_begins(native_models: NativeModels, tmp_path: Path) -> None:
    for name in ("zero_d", "dtypes", "scalars"):
        (row,) = ran(written(tmp_path, f"{name}.pte", native_models[name]))
        assert (row.status, row.engine) == (PASSED, "executorch")


def test_what_speaks_against_outputs_is_said_and_no_failure(tmp_path: Path) -> None:
    def one(nodes: list[object], name: str) -> Verification:
        data = given_files.onnx_file(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights={"w": np.zeros((1, 4), np.float32)})
        (row,) = ran(written(tmp_path, f"{name}.onnx", data))
        return row

    row = one([helper.make_node("Div", ["x", "w"], ["y"])], "endless")
    assert (row.status, row.reason) == (PASSED, "y has values that are not finite")
    row = one([helper.make_node("Mul", ["x", "w"], ["y"])], "nothing")
    assert (row.status, row.reason) == (PASSED, "y hardly depends on the input")
    row = one(
        [helper.make_node("RandomNormalLike", ["x"], ["r"]), helper.make_node("Add", ["r", "w"], ["y"])], "chance"
    )
    assert row.status == FAILED


def test_what_no_array_holds_is_refused_by_name(tmp_path: Path) -> None:
    texts = given_files.onnx_file(
        [helper.make_node("Identity", ["x"], ["y"])], {"x": [1]}, {"y": [1]}, TensorProto.STRING
    )
    error = refusal(written(tmp_path, "texts.onnx", texts))
    assert isinstance(error, UsageError) and error.code == "EK-UNSUPPORTED" and "'x' is string" in error.message
    assert refusal(written(tmp_path, "no.tflite", b"TFL3" + bytes(100))).code == "EK-BUNDLE"
    assert refusal(tmp_path / "none.tflite").code == "EK-MISSING-FILE"
    error = refusal(written(tmp_path, "custom.tflite", _custom()))
    assert error.code == "EK-CONTENTS" and "'MaxPoolingWithArgmax2D'" in error.message


def _custom() -> bytes:
    def change(model: object) -> None:
        code = model.operatorCodes[0]  # type: ignore[attr-defined]
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, "MaxPoolingWithArgmax2D"

    return given_files.tflite_with(given_files.doubling_tflite((1, 4)), change)


def test_a_sample_is_what_is_checked_with(tmp_path: Path) -> None:
    path = written(tmp_path, "double.onnx", given_files.doubling_onnx(["n", "m"]))
    np.savez(tmp_path / "own.npz", x=np.ones((3, 2), np.float32))
    with Bundle.open(given.bundle_at(path, given.Options(sample=tmp_path / "own.npz"))) as bundle:
        assert not bundle.manifest.checks["random"]
        inputs, outputs = bundle.check_vectors()
        np.testing.assert_array_equal(outputs["y"], 2 * inputs["x"])
        assert inputs["x"].shape == (3, 2)
    np.savez(tmp_path / "wrong.npz", z=np.ones((3, 2), np.float32), w=np.ones(1))
    with pytest.raises(UsageError):
        given.bundle_at(path, given.Options(sample=tmp_path / "wrong.npz"))


def test_bundles_are_taken_as_they_are_and_have_shapes_of_their_own(small_bundle: Path) -> None:
    assert given.bundle_at(small_bundle) == small_bundle
    with pytest.raises(UsageError, match="is for a model file as it is"):
        given.bundle_at(small_bundle, given.Options({"image": (1, 1, 12, 12)}))


def test_the_manifest_says_that_it_was_given_and_others_are_as_before(small_bundle: Path, tmp_path: Path) -> None:
    path = written(tmp_path, "double.onnx", given_files.doubling_onnx((1, 4)))
    with Bundle.open(given.bundle_at(path)) as bundle, Bundle.open(small_bundle) as built:
        assert bundle.manifest.schema_version == GIVEN_VERSION and bundle.manifest.is_given
        (variant,) = bundle.manifest.variants
        assert variant.runs and not variant.checked and variant.snr_db is None
        assert variant.given is not None and variant.given.reference.startswith("onnxruntime 1.")
        assert built.manifest.schema_version == SCHEMA_VERSION and not built.manifest.is_given
        assert all("given" not in variant for variant in built.manifest.to_json()["variants"])
    assert given.named(given.bundle_at(path)) == path


def test_the_same_file_gives_the_same_bundle(tmp_path: Path) -> None:
    data = given_files.doubling_onnx((1, 4))
    one, other = (given.bundle_at(written(tmp_path, "double.onnx", data), reference=flag) for flag in (True, False))
    assert one != other
    assert one.read_bytes() == given.bundle_at(tmp_path / "double.onnx").read_bytes()
    with pytest.raises(BundleError):
        Bundle.open(tmp_path / "double.onnx")


def test_an_index_that_is_too_large_is_looked_for_in_the_input(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "rows",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 3])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 3, 2])],
        [numpy_helper.from_array(np.ones((5, 2), np.float32), "table")],
    )
    path = tmp_path / "rows.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    with edgekit.load(path) as loaded:
        with pytest.raises(EdgekitError) as caught:
            loaded(np.int64([[0, 1, 99]]))
        assert caught.value.code == "EK-RUN" and "indices" in str(caught.value.hint)
        np.testing.assert_array_equal(loaded(np.int64([[0, 1, 4]])), np.ones((1, 3, 2)))
