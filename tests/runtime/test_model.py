"""`edgekit.load`: numpy in, numpy out, on the best variant that runs here."""

from __future__ import annotations

import contextlib
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import IMAGE, LABELS, PAIR, SmallModels

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.runtime.engines import litert, open_session
from edgekit.runtime.model import Model, load
from edgekit.runtime.remote import Server
from edgekit.tensors import TensorSpec


def test_array_in_array_out(small_bundle: Path, small_models: SmallModels) -> None:
    with edgekit.load(small_bundle, threads=1) as model:
        scores = model(small_models.images[:1])
        np.testing.assert_allclose(scores, small_models.scores[:1], atol=1e-5)
        assert (model.variant, model.engine, model.threads, model.labels) == ("fp32.tflite", "litert", 1, LABELS)
        assert model.signature == IMAGE
        np.testing.assert_array_equal(model({"image": small_models.images[:1]}), scores)


@pytest.mark.parametrize("variant", ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"])
def test_every_variant_loads_from_a_raw_sample(small_bundle: Path, small_models: SmallModels, variant: str) -> None:
    with load(small_bundle, variant=variant) as model:
        scores = model(model.prepare(small_models.samples[3]))
        np.testing.assert_allclose(scores, small_models.scores[3:4], atol=0.05)
        assert model.variant == variant


def test_several_inputs_go_in_and_come_out_by_name(small_models: SmallModels) -> None:
    session = open_session("litert", small_models.files["pair.tflite"], "tflite", PAIR, 1)
    with Model(session, PAIR, variant="v", engine="litert") as model:
        left, right = small_models.pair_inputs
        outputs = model({"right": right, "left": left})
        assert list(outputs) == ["output_0", "output_1"]
        np.testing.assert_allclose(outputs["output_1"], small_models.pair_outputs[1], atol=1e-6)
        prepared = model.prepare({"left": left[0].astype(np.float64), "right": right[0]})
        np.testing.assert_array_equal(prepared["left"], left)
        for wrong in (left, {"left": left}, {"left": left, "right": right, "x": left}, {"left": left, "right": left}):
            with pytest.raises(UsageError) as caught:
                model(wrong)
            assert caught.value.code == "EK-INPUT"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (np.zeros((1, 12, 12), np.float32), "batch axis is missing"),
        (np.zeros((2, 1, 12, 12), np.float32), "prepare"),
        (np.zeros((1, 1, 12, 12), np.float64), "prepare"),
        (np.zeros((1, 1, 12, 12), np.uint8), "prepare"),
        ([[0.0]], "prepare"),
        (None, "prepare"),
    ],
)
def test_an_input_that_does_not_fit_is_never_fixed_silently(small_bundle: Path, wrong: object, hint: str) -> None:
    with load(small_bundle) as model, pytest.raises(UsageError, match="image") as caught:
        model(wrong)  # type: ignore[arg-type]
    assert caught.value.code == "EK-INPUT"
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_no_engine_takes_an_array_that_numpy_would_repeat_or_that_only_has_as_many_values(
    small_bundle: Path, small_models: SmallModels, variant: str
) -> None:
    with load(small_bundle, variant=variant, threads=1) as model:
        expected = model(small_models.images[:1])
        for shape in ((), (1,), (12, 12), (1, 1, 1, 1), (1, 1, 12, 1), (1, 12, 12, 1), (1, 1, 1, 144), (2, 1, 12, 12)):
            with pytest.raises(UsageError, match="image") as caught:
                model(np.zeros(shape, np.float32))
            assert caught.value.code == "EK-INPUT"
        with pytest.raises(UsageError, match="image"):
            model(small_models.images[:1].view(np.int32))
        np.testing.assert_array_equal(model(small_models.images[:1]), expected)


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_after_ctrl_c_at_any_moment_it_can_be_called_and_closed(
    small_bundle: Path, small_models: SmallModels, variant: str
) -> None:
    image, generator = small_models.images[:1], np.random.default_rng(0)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        model = load(small_bundle, variant=variant, threads=1)
        expected = model(image)
        for _ in range(300):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, generator.uniform(20e-6, 200e-6))
                while True:
                    model(image)
        outputs: list[np.ndarray] = []
        thread = threading.Thread(target=lambda: outputs.append(model(image)), daemon=True)
        thread.start()
        thread.join(30)
        np.testing.assert_array_equal(outputs, [expected])
        model.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_what_numpy_can_hold_in_other_ways_gives_the_same_or_is_refused(
    small_bundle: Path, small_models: SmallModels, tmp_path: Path
) -> None:
    image = small_models.images[:1].copy()
    wide = np.zeros((1, 1, 12, 24), np.float32)
    wide[..., ::2] = image
    frozen = image.copy()
    frozen.flags.writeable = False
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    assert type(mapped) is np.memmap
    swapped = image.astype(">f4")
    same = (wide[..., ::2], frozen, np.asfortranarray(image), mapped, pickle.loads(pickle.dumps(image)), swapped)
    for variant in ("fp32.tflite", "fp32.pte"):
        with load(small_bundle, variant=variant) as model:
            expected = model(image)
            for array in same:
                np.testing.assert_array_equal(model(array), expected)
            with pytest.raises(UsageError, match="is a MaskedArray"):
                model(np.ma.masked_array(image, mask=image > 0))
            assert type(model(mapped)) is np.ndarray


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_outputs_belong_to_the_caller(small_bundle: Path, small_models: SmallModels, variant: str) -> None:
    with load(small_bundle, variant=variant) as model:
        first = model(small_models.images[:1])
        kept = first.copy()
        assert not np.array_equal(model(small_models.images[1:2]), kept)
        np.testing.assert_array_equal(first, kept)
        first[...] = 7
        np.testing.assert_array_equal(model(small_models.images[:1]), kept)
    np.testing.assert_array_equal(first, np.full_like(kept, 7))  # after the engine is gone, too


@pytest.mark.parametrize("variant", ["fp32.tflite", "fp32.pte"])
def test_a_forked_child_may_call_the_model(small_bundle: Path, small_models: SmallModels, variant: str) -> None:
    """With several threads, of which a fork leaves one: then it takes longer."""
    code = """
import os, sys
import numpy as np
from edgekit.runtime.model import load
with load(sys.argv[1], variant=sys.argv[2], threads=2) as model:
    image = np.load(sys.argv[3])
    expected = model(image)
    child = os.fork()
    if child == 0:
        same = all(np.array_equal(model(image), expected) for _ in range(20))
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(model(image), expected)
"""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, small_models.images[:1])
        file.flush()
        subprocess.run([sys.executable, "-c", code, str(small_bundle), variant, file.name], check=True, timeout=60)


def test_a_child_does_not_talk_to_its_parents_engine_process(small_models: SmallModels) -> None:
    with Server.start("litert") as server:
        session = server.open(small_models.files["image.tflite"], "tflite", IMAGE, 1)
        server._owner += 1  # as it is after a fork
        with pytest.raises(EdgekitError, match="belongs to this one's parent"):
            session.run([small_models.images[:1]])
        server._owner -= 1
        np.testing.assert_allclose(session.run([small_models.images[:1]])[0], small_models.scores[:1], atol=1e-5)


def test_prepare_reads_files_and_refuses_what_does_not_fit(
    small_bundle: Path, small_models: SmallModels, tmp_path: Path
) -> None:
    Image.fromarray(small_models.samples[0]).save(tmp_path / "a.png")
    Image.fromarray(small_models.samples[0]).convert("RGB").save(tmp_path / "colour.png")
    with load(small_bundle) as model:
        for name in ("a.png", "colour.png"):
            np.testing.assert_allclose(model.prepare(tmp_path / name), small_models.images[:1], atol=1e-6)
        for wrong in (small_models.samples, small_models.samples[0][:5], np.zeros(3)):
            with pytest.raises(UsageError) as caught:
                model.prepare(wrong)
            assert caught.value.code == "EK-INPUT"


def test_a_closed_model_says_so(small_bundle: Path, small_models: SmallModels) -> None:
    model = load(small_bundle)
    model.close()
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model(small_models.images[:1])


def test_threads_take_turns(small_bundle: Path, small_models: SmallModels) -> None:
    with load(small_bundle, threads=1) as model:
        expected = [model(image[None]) for image in small_models.images]
        wrong: list[int] = []

        def work(index: int) -> None:
            for _ in range(200):
                if not np.array_equal(model(small_models.images[index : index + 1]), expected[index]):
                    wrong.append(index)

        workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def test_the_choice_is_explained(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert.LiteRT, "version", lambda self: None)
    explained = load(small_bundle, explain=True)
    assert [(choice.variant, choice.usable, choice.reason) for choice in explained[:2]] == [
        ("fp32.tflite", False, "not installed"),
        ("int8-dynamic.tflite", False, "not installed"),
    ]
    assert explained[2].usable and "executorch" in explained[2].reason
    with load(small_bundle) as model:
        assert model.variant == "fp32.pte"
    with pytest.raises(EdgekitError, match="not installed") as caught:
        load(small_bundle, variant="fp32.tflite")
    assert (caught.value.code, caught.value.hint) == ("EK-NO-VARIANT", "pip install ai-edge-litert")


@pytest.mark.parametrize("wrong", [{"scale": "half"}, {"layout": "sideways"}, {"std": [0.0]}, {"blur": 1}])
def test_a_bundle_with_wrong_preprocessing_is_refused(small_bundle: Path, wrong: dict[str, object]) -> None:
    with Bundle.open(small_bundle) as bundle:
        bundle.manifest = replace(bundle.manifest, preprocessing=wrong)
        with pytest.raises(BundleError):
            load(bundle)


def test_wrong_names_get_a_hint(small_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(small_bundle, variant="fp32.tflit")
    assert caught.value.hint == "did you mean 'fp32.tflite'?"
    with pytest.raises(UsageError) as caught:
        load(small_bundle, engine="executroch")
    assert caught.value.hint == "did you mean 'executorch'?"
    with pytest.raises(BundleError):
        load(tmp_path / "none.edgekit")


def test_a_spec_tells_byte_orders_apart() -> None:
    with pytest.raises(UsageError):
        TensorSpec("x", (1,), "float32").check(np.zeros(1, ">f4"))


def test_the_device_side_imports_only_the_standard_library_and_numpy() -> None:
    code = """
import sys, sysconfig
before = set(sys.modules)
import edgekit, edgekit.runtime.model, edgekit.runtime.trial, edgekit.runtime.verification, edgekit.runtime.remote_child
from edgekit.runtime.engines import ENGINES, engine
for name in ENGINES.names(): engine(name).version()
allowed = {"edgekit", "numpy", *sys.stdlib_module_names}
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - allowed))
"""
    package = Path(edgekit.__file__).parent.parent
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=package, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("variant", ["fp32.pte", "fp32.tflite"])
def test_a_program_that_runs_a_model_loads_little_else(small_bundle: Path, variant: str) -> None:
    """A board of 512 MB has better use for the memory of OpenSSL (3.6 MB) and of importlib.metadata (4 MB)."""
    code = """
import sys, numpy
before = set(sys.modules)
import edgekit
with edgekit.load(sys.argv[1], variant=sys.argv[2], threads=1) as model:
    model(numpy.zeros(model.signature.inputs[0].shape, "float32"))
print(*sorted(set(sys.modules) - before))
"""
    command = [sys.executable, "-c", code, str(small_bundle), variant]
    package = Path(edgekit.__file__).parent.parent
    loaded = subprocess.run(command, capture_output=True, text=True, cwd=package, check=True).stdout.split()
    assert "edgekit.runtime.contents" in loaded
    heavy = {"difflib", "email", "hashlib", "importlib.metadata", "shutil", "tempfile", "tomllib", "zipfile"}
    assert not heavy.intersection(loaded)
