"""Tensors of every type, scalars, and several methods in one file, on every engine that loads the format."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.shared import Shared
from support.typed_models import TypedModels, build_typed_models

from edgekit.bundle import Bundle, write_bundle
from edgekit.digests import sha256
from edgekit.errors import EdgekitError, UsageError
from edgekit.manifest import parse_manifest, seal
from edgekit.runtime import environments
from edgekit.runtime.engines import open_session
from edgekit.runtime.engines.executorch import BindingSession
from edgekit.runtime.model import Model, load
from edgekit.runtime.prepare import prepare
from edgekit.tensors import Signature, TensorSpec

ENGINES = [("litert", "tflite"), ("executorch", "pte"), ("tflite-runtime", "tflite")]
each_engine = pytest.mark.parametrize(("engine", "format"), ENGINES)


@pytest.fixture(scope="module")
def models() -> TypedModels:
    folder = Shared.once("typed", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_typed_models())))
    models: TypedModels = pickle.loads((folder / "models").read_bytes())
    return models


@pytest.fixture(scope="module", autouse=True)
def tflite_runtime_is_installed() -> Iterator[None]:
    """In a home that other tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(Shared.directory / "edgekit-home"))
        environments.create("tflite-runtime")
        yield


@pytest.fixture(scope="module")
def coder_bundle(models: TypedModels, small_bundle: Path) -> Path:
    """A bundle whose main method is encode, and which has decode besides."""
    path = Shared.directory / f"coder-{os.getpid()}.edgekit"
    with Bundle.open(small_bundle) as bundle:
        small = bundle.manifest
    variants, files = [], {}
    for variant in (small.variants[0], small.variants[2]):
        data = models.coder[variant.format]
        files[variant.file] = data
        variants.append(replace(variant, size_bytes=len(data), sha256=sha256(data)))
    facts = models.coder_facts
    manifest = replace(
        small,
        signature=facts["encode"].signature,
        methods={name: exported.signature for name, exported in facts.items()},
        preprocessing=None,
        labels=(),
        class_scores=None,
        variants=tuple(variants),
        checks={"inputs": {}, "outputs": {}},
    )
    write_bundle(manifest, files, path)
    return path


@each_engine
def test_every_type_goes_in_and_comes_out(models: TypedModels, engine: str, format: str) -> None:
    facts = models.typed_facts
    session = open_session(engine, models.typed[format], format, facts.signature, 1)
    with Model(session, facts.signature, variant="typed", engine=engine) as model:
        given = {spec.name: array for spec, array in zip(facts.signature.inputs, facts.inputs, strict=True)}
        first = model(given)
        again = model(given)
        for spec, expected in zip(facts.signature.outputs, facts.outputs, strict=True):
            assert isinstance(first[spec.name], np.ndarray)
            assert (first[spec.name].dtype, first[spec.name].shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(first[spec.name], expected)
            np.testing.assert_array_equal(again[spec.name], expected)
            first[spec.name][...] = 0  # it is ours
        np.testing.assert_array_equal(again["bytes"], facts.outputs[1])
        with pytest.raises(UsageError, match="'scale' is a float"):
            model({**given, "scale": 1.5})
        with pytest.raises(UsageError, match=r"'flag' is uint8\[1, 3\]"):
            model({**given, "flag": given["flag"].view(np.uint8)})


def test_the_torch_binding_takes_every_type_too(models: TypedModels) -> None:
    facts = models.typed_facts
    session = BindingSession(models.typed["pte"], facts.signature, 1, "forward")
    for output, expected in zip(session.run(facts.inputs), facts.outputs, strict=True):
        assert (output.dtype, output.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(output, expected)
    session.close()


@pytest.mark.parametrize("engine", ["litert", "tflite-runtime"])
def test_int64_that_a_converter_narrowed_is_not_cut_off_silently(models: TypedModels, engine: str) -> None:
    """litert-torch 0.10 writes int64 as int32. Where this fails for another reason, `narrow` can go."""
    facts = models.typed_facts
    specs = facts.signature.inputs
    narrow = tuple(replace(spec, dtype="int32") if spec.dtype == "int64" else spec for spec in specs)
    as_stored = Signature(narrow, facts.signature.outputs)
    open_session(engine, models.typed["tflite"], "tflite", as_stored, 1).close()
    session = open_session(engine, models.typed["tflite"], "tflite", facts.signature, 1)
    wide = [array + 2**31 if array.dtype == np.int64 else array for array in facts.inputs]
    with pytest.raises(UsageError, match="'long' holds values beyond int32") as caught:
        session.run(wide)
    assert caught.value.code == "EK-INPUT"
    session.close()


@each_engine
@pytest.mark.parametrize("method", ["encode", "decode"])
def test_each_method_of_a_file_runs(models: TypedModels, engine: str, format: str, method: str) -> None:
    facts = models.coder_facts[method]
    session = open_session(engine, models.coder[format], format, facts.signature, 1, method)
    for _ in range(3):
        for output, expected in zip(session.run(facts.inputs), facts.outputs, strict=True):
            np.testing.assert_allclose(output, expected, atol=1e-6)
    if session.run_one is not None:
        np.testing.assert_allclose(session.run_one(facts.inputs[0]), facts.outputs[0], atol=1e-6)
    session.close()


@each_engine
def test_a_method_that_is_not_there_is_named(models: TypedModels, engine: str, format: str) -> None:
    with pytest.raises(EdgekitError) as caught:
        open_session(engine, models.coder[format], format, models.coder_facts["encode"].signature, 1, "encod")
    assert caught.value.code == "EK-RUN" and "method" in caught.value.message


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_a_bundle_hands_out_its_methods_by_name(coder_bundle: Path, models: TypedModels, variant: str) -> None:
    code = models.coder_facts["encode"]
    with load(coder_bundle, variant=variant, method="encode") as encode:
        assert (encode.method, encode.signature) == ("encode", code.signature)
        result = encode(code.inputs[0])
        np.testing.assert_allclose(result, code.outputs[0], atol=1e-6)
        with load(coder_bundle, variant=variant, method="decode") as decode:  # both at a time
            outputs = decode({"code": result, "gain": np.array(2, np.float32)})
            prepared = decode.prepare({"code": result[0], "gain": 2})
            np.testing.assert_array_equal(prepared["gain"], np.array(2, np.float32))
            np.testing.assert_array_equal(decode(prepared)["x"], outputs["x"])
            assert outputs["x"].shape == (1, 6)
            np.testing.assert_allclose(outputs["next"], result + 1, atol=1e-6)
    with pytest.raises(UsageError) as caught:
        load(coder_bundle, method="encod")
    assert (caught.value.code, caught.value.hint) == ("EK-ARGUMENT", "did you mean 'encode'?")


def test_methods_are_part_of_the_manifest(coder_bundle: Path, small_bundle: Path, models: TypedModels) -> None:
    with Bundle.open(coder_bundle) as bundle:
        assert bundle.manifest.methods["decode"] == models.coder_facts["decode"].signature
    with pytest.raises(UsageError, match="has no method 'encode'") as caught:
        load(small_bundle, method="encode")
    assert caught.value.hint == "it has its main method only"


def test_a_scalar_input_gets_no_batch_axis() -> None:
    signature = Signature((TensorSpec("gain", (), "float32"),), (TensorSpec("y", (), "float32"),))
    (gain,) = prepare(2, signature, None).values()
    assert (gain.shape, gain.dtype, float(gain)) == ((), np.float32, 2.0)
    with pytest.raises(UsageError):
        prepare([1.0, 2.0], signature, None)


def test_a_manifest_with_a_wrong_method_is_refused(coder_bundle: Path) -> None:
    with Bundle.open(coder_bundle) as bundle:
        value = bundle.manifest.to_json()
    value["methods"]["decode"]["inputs"] = []
    with pytest.raises(ValueError, match="signature"):
        parse_manifest(seal(value))
