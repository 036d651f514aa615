"""Buckets through a build: methods of one file, weights once, each held against the model, and run by `load`."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from support.bucket_project import MODEL, TOML, write_bucket_project

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import ConversionError, EdgekitError, UsageError
from edgekit.fidelity import snr_db
from edgekit.pipeline.build import build
from edgekit.runtime.model import load

VARIANTS = ("fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte")
#: Bytes of the weights of `MODEL` in float32.
WEIGHTS = 4 * (6 * 128 * 3 + 128 * 128 * 3 + 128 * 4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    project = write_bucket_project(tmp_path_factory.mktemp("buckets") / "steps")
    formats, recipes = ["tflite", "pte", "pt2"], ["fp32", "int8"]
    with build(project, target="desktop-x86_64", formats=formats, recipes=recipes) as built:
        yield built


@pytest.fixture(scope="module")
def source(bundle: Bundle) -> torch.nn.Module:
    spec = importlib.util.spec_from_file_location("steps_model", bundle.path.parent.parent / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: torch.nn.Module = module.build().eval()
    return made


@pytest.mark.slow
def test_the_manifest_names_buckets_and_how_near_each_came(bundle: Bundle) -> None:
    manifest, buckets = bundle.manifest, bundle.manifest.buckets
    assert buckets is not None
    assert (buckets.batch, buckets.length, buckets.outputs, buckets.shortest) == ((1, 4), (8, 16), {"steps": 1}, 1)
    assert manifest.methods.keys() == {"batch4", "length8", "batch4_length8"}
    assert [spec.shape for spec in manifest.methods["batch4_length8"].outputs] == [(4, 8, 4), (4, 2)]
    for name in VARIANTS:
        found = manifest.variant(name).bucket_snr_db
        assert found.keys() == manifest.methods.keys()
        assert min(found.values()) > (80 if name.startswith("fp32") else 20)
    assert manifest.variant("fp32.pt2").bucket_snr_db == {}
    assert any("has no buckets" in warning for warning in manifest.variant("fp32.pt2").warnings)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_weights_are_in_a_file_once(bundle: Bundle, name: str) -> None:
    size = bundle.manifest.variant(name).size_bytes
    assert size < (1.25 if name.startswith("fp32") else 0.6) * WEIGHTS
    assert not any("bytes, of which" in warning for warning in bundle.manifest.variant(name).warnings)


@pytest.mark.slow
@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_any_number_of_samples_of_any_length_is_run_as_the_model_would(
    bundle: Bundle, source: torch.nn.Module, name: str, isolated: bool
) -> None:
    random = np.random.default_rng(1)
    with load(bundle, variant=name, threads=1, isolated=isolated) as model:
        assert model.buckets == bundle.manifest.buckets
        for count, length in ((1, 16), (1, 8), (3, 8), (5, 5), (9, 11), (2, 1), (4, 16)):
            x = random.normal(size=(count, length, 6)).astype(np.float32)
            found = model(x)
            with torch.no_grad():
                expected = {key: value.numpy() for key, value in source(torch.from_numpy(x)).items()}
            assert {key: array.shape for key, array in found.items()} == {
                "steps": (count, length, 4),
                "start": (count, 2),
            }
            if name.startswith("fp32"):
                for key, array in found.items():
                    np.testing.assert_allclose(array, expected[key], atol=1e-5)
            else:
                assert np.abs(found["steps"] - expected["steps"]).max() < 0.3 * np.abs(expected["steps"]).max()


@pytest.mark.slow
def test_requests_of_mixed_length_run_together(bundle: Bundle) -> None:
    random = np.random.default_rng(2)
    requests = [random.normal(size=(1, length, 6)).astype(np.float32) for length in (8, 3, 16, 8, 7, 12, 16, 1)]
    with load(bundle, variant="fp32.tflite", threads=1) as model:
        expected = [model(request)["steps"] for request in requests]
        found: dict[int, np.ndarray] = {}
        with model.batched(max_wait_ms=50) as batcher:

            def client(index: int) -> None:
                found[index] = batcher(requests[index])["steps"]

            threads = [threading.Thread(target=client, args=(index,)) for index in range(len(requests))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            with pytest.raises(UsageError, match="length of 17"):
                batcher(np.zeros((1, 17, 6), np.float32))
        for index, array in enumerate(expected):
            np.testing.assert_allclose(found[index], array, atol=1e-5)
        many = model.many(requests)
    assert snr_db(np.concatenate(expected, 1), np.concatenate([each["steps"] for each in many], 1)) > 80
    with pytest.raises(UsageError, match="closed"):
        model(requests[0])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 17, 6), (0, 8, 6), (1, 8, 5), (8, 6), (1, 0, 6)])
def test_what_no_bucket_takes_is_refused(bundle: Bundle, shape: tuple[int, ...]) -> None:
    with load(bundle, variant="fp32.tflite", threads=1) as model, pytest.raises(UsageError) as caught:
        model(np.zeros(shape, np.float32))
    assert caught.value.code == "EK-INPUT" and caught.value.hint


@pytest.mark.slow
def test_a_variant_without_buckets_takes_what_its_signature_says(bundle: Bundle) -> None:
    with load(bundle, variant="fp32.pt2", threads=1) as model:
        assert model.buckets is None
        assert model(np.zeros((1, 16, 6), np.float32))["steps"].shape == (1, 16, 4)
        with pytest.raises(UsageError):
            model(np.zeros((1, 8, 6), np.float32))
        with pytest.raises(UsageError, match="one sample at a time"):
            model.batched()


@pytest.mark.slow
def test_inspect_says_which_buckets_there_are(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(bundle.path)]) == 0
    said = capsys.readouterr().out
    assert "buckets: 1, 4 samples at a time; lengths 8, 16 (axis 1 of x), shorter ones from 1 are filled up" in said
    assert said.count("its bucket that is furthest off") == len(VARIANTS)


#: One method for all between, and what the format that cannot have one gets.
OPEN_TOML = TOML.replace("batch = [4]", 'batch = ["1-16", 4]').replace("length = [8, 16]", 'length = ["3-16", 8]')


@pytest.fixture(scope="module")
def open_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    project = write_bucket_project(tmp_path_factory.mktemp("open") / "steps", OPEN_TOML)
    with build(project, target="desktop-x86_64", formats=["tflite", "pte"], recipes=["fp32", "int8"]) as built:
        yield built


@pytest.mark.slow
def test_a_range_is_one_method_of_the_pte_and_a_list_in_the_tflite(open_bundle: Bundle) -> None:
    manifest, buckets = open_bundle.manifest, open_bundle.manifest.buckets
    assert buckets is not None
    assert (buckets.batch, buckets.length) == ((1, 4), (8, 16))
    assert (buckets.batch_range, buckets.length_range) == ((1, 16), (3, 16))
    assert manifest.methods.keys() == {"batch4", "length8", "batch4_length8", "batch1to16_length3to16"}
    assert manifest.methods["batch1to16_length3to16"].inputs[0].shape == (16, 16, 6)
    for name in ("fp32", "int8"):
        found, listed = manifest.variant(f"{name}.pte"), manifest.variant(f"{name}.tflite")
        assert found.bucket_snr_db.keys() == {"batch1to16_length3to16"}
        assert min(found.bucket_snr_db.values()) > (80 if name == "fp32" else 20)
        assert listed.bucket_snr_db.keys() == {"batch4", "length8", "batch4_length8"}
        assert any(".tflite leaves no size open" in warning for warning in listed.warnings)
        assert found.size_bytes < (1.25 if name == "fp32" else 0.6) * WEIGHTS
        assert not any("size open" in warning or "bytes, of which" in warning for warning in found.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("isolated", [False, True])
def test_every_size_of_a_range_is_run_as_it_is(open_bundle: Bundle, source: torch.nn.Module, isolated: bool) -> None:
    random = np.random.default_rng(1)
    counts = (1, 2, 16, 17, 40)
    with load(open_bundle, variant="fp32.pte", threads=1, isolated=isolated) as model:
        assert model.buckets == open_bundle.manifest.buckets
        for count, length in [(count, length) for length in range(3, 17) for count in counts]:
            x = random.normal(size=(count, length, 6)).astype(np.float32)
            found = model(x)
            with torch.no_grad():
                expected = {key: value.numpy() for key, value in source(torch.from_numpy(x)).items()}
            for key, array in found.items():
                np.testing.assert_allclose(array, expected[key], atol=1e-5)
        for shape, says in (
            ((1, 2, 6), "length of 2"),
            ((1, 17, 6), "the model takes 3 to 16"),
            ((1, 8, 5), "samples"),
        ):
            with pytest.raises(UsageError, match=says) as caught:
                model(np.zeros(shape, np.float32))
            assert caught.value.code == "EK-INPUT" and caught.value.hint
        requests = [random.normal(size=(1, length, 6)).astype(np.float32) for length in (5, 3, 16, 5)]
        for request, outputs in zip(requests, model.many(requests), strict=True):
            np.testing.assert_allclose(outputs["steps"], model(request)["steps"], atol=1e-6)


@pytest.mark.slow
def test_the_other_format_takes_the_list_beside_a_range(open_bundle: Bundle) -> None:
    with load(open_bundle, variant="fp32.tflite", threads=1) as model:
        assert model.buckets is not None and model.buckets.length_range is None
        assert model(np.zeros((3, 5, 6), np.float32))["steps"].shape == (3, 5, 4)  # filled up to 8


@pytest.mark.slow
def test_a_range_is_shown_and_run_from_the_command_line(
    open_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(open_bundle.path)]) == 0
    said = capsys.readouterr().out
    assert (
        "buckets of fp32.pte, int8.pte: 1 to 16 samples at a time; lengths 3 to 16 (axis 1 of x), as they are" in said
    )
    assert "buckets of fp32.tflite, int8.tflite: 1, 4 samples at a time; lengths 8, 16 (axis 1 of x), shorter" in said
    np.save(tmp_path / "x.npy", np.zeros((2, 5, 6), np.float32))
    arguments = ["--input", str(tmp_path / "x.npy"), "--variant", "fp32.pte", "--output", str(tmp_path / "y.npz")]
    assert run(["run", str(open_bundle.path), *arguments]) == 0
    assert np.load(tmp_path / "y.npz")["steps"].shape == (2, 5, 4)
    np.save(tmp_path / "x.npy", np.zeros((2, 2, 6), np.float32))
    assert run(["run", str(open_bundle.path), *arguments]) == 2
    assert "the input has a length of 2, the model takes 3 to 16" in capsys.readouterr().err


MEAN = MODEL.replace("self.scores(hidden.transpose(1, 2))", "self.scores(hidden.mean(2))")
FIXED = MODEL.replace("hidden = x.transpose(1, 2)", "hidden = x.transpose(1, 2) + torch.ones(16)")
STRIDED = MODEL.replace("self.scores(hidden.transpose(1, 2))", "self.scores(hidden.transpose(1, 2)[:, ::2])")
ACROSS = MODEL.replace('"start": x[:, 0, :2] + 1', '"start": x[:, 0, :2] + x.mean()')


#: What is seen in `edgekit.toml`, before anything runs.
AT_ONCE = [
    (TOML.replace("{ x = 1 }", "{ x = 0 }"), "model.buckets.axis.x: Input should be greater than 0"),
    (TOML.replace("axis = { x = 1 }\n", ""), "length and axis belong together"),
    (TOML.replace("length = [8, 16]\naxis = { x = 1 }\n", ""), "pad is for lengths"),
    (TOML.replace("pad = 0", "pad = { y = 0 }"), "pad names other inputs than axis"),
    (TOML.replace("pad = 0", "pad = nan"), "model.buckets.pad"),
    (TOML.replace("batch = [4]", "batch = [0]"), "model.buckets.batch.0"),
    (TOML.replace("batch = [4]", "batch = []").replace("length = [8, 16]", "length = []"), "length and axis"),
    (TOML.replace("batch = [4]", f"batch = {list(range(1, 65))}"), "64 are the most"),
    (TOML.replace("batch = [4]", 'batch = "2-16"'), 'a range of batch begins with one sample: batch = "1-16"'),
    (TOML.replace("batch = [4]", 'batch = "16-1"'), "'16-1' is no range"),
    (TOML.replace("batch = [4]", 'batch = "1-1"'), "'1-1' is no range"),
    (TOML.replace("batch = [4]", 'batch = "1..16"'), "'1..16' is no range"),
    (TOML.replace("batch = [4]", 'batch = ""'), "'' is no range"),
    (TOML.replace("batch = [4]", 'batch = ["1-4", "1-8"]'), "batch names 2 ranges, one is the most"),
    (TOML.replace("batch = [4]", 'batch = ["1-4", 8]'), "batch names 8 beside the range 1-4"),
    (TOML.replace("batch = [4]", "batch = [true]"), "model.buckets.batch.0"),
    (TOML.replace("batch = [4]", "batch = [4.0]"), "model.buckets.batch.0"),
    (TOML.replace("[8, 16]", '"0-16"'), "'0-16' is no range"),
    (TOML.replace("[8, 16]", '["3-8", 16]'), "length names 16 beside the range 3-8"),
    (TOML.replace("[8, 16]\naxis = { x = 1 }", '"3-16"'), "length and axis belong together"),
    (TOML.replace("pad = 0", "padding = 0"), "unknown key 'padding' in [model.buckets]"),
]
#: What the model says.
WITH_MODEL = [
    (TOML, MEAN, "padding changes what the model gives: output 'steps'"),
    (TOML, FIXED, "does not take a length of 8"),
    (TOML, STRIDED, "output 'steps' has 8 rows for a length of 16"),
    (TOML, ACROSS, "takes one sample at a time"),
    (TOML.replace("batch = [4]", 'batch = "1-1000000"'), MODEL, "1000000 samples are 366 MiB, 256 are the most"),
    (TOML.replace("[8, 16]", '"3-16"'), FIXED, "does not take a length of 3"),
    (TOML.replace("length = [8, 16]", "length = [8, 12]"), MODEL, "samples of 'x' are 16 long on axis 1"),
    (TOML.replace("{ x = 1 }", "{ y = 1 }"), MODEL, "no input 'y'"),
    (TOML.replace("{ x = 1 }", "{ x = 3 }"), MODEL, "has the axes 0 to 2"),
]


@pytest.mark.parametrize(("toml", "says"), AT_ONCE)
def test_buckets_that_are_written_wrong_are_refused(tmp_path: Path, toml: str, says: str) -> None:
    refuse(write_bucket_project(tmp_path / "steps", toml), says)


@pytest.mark.slow
@pytest.mark.parametrize(("toml", "model", "says"), WITH_MODEL)
def test_buckets_that_do_not_fit_the_model_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, model: str, says: str
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    refuse(write_bucket_project(tmp_path / "steps", toml, model), says)


def refuse(project: Path, says: str) -> None:
    with pytest.raises(EdgekitError) as caught:
        build(project, target="desktop-x86_64", formats=["tflite"], recipes=["fp32"])
    assert not isinstance(caught.value, ConversionError)
    assert says in caught.value.message
    assert caught.value.code == "EK-PROJECT" and caught.value.hint
    assert not (project / "build").exists()
