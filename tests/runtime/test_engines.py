"""Every engine: the same answers as the float model, through one interface."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels

from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime import engines
from edgekit.tensors import Signature, TensorSpec

IN_PROCESS = [("litert", "tflite"), ("executorch", "pte"), ("pytorch-mobile", "ptl")]
each_engine = pytest.mark.parametrize(("name", "format"), IN_PROCESS)


@each_engine
def test_outputs_are_those_of_the_float_model(small_models: SmallModels, name: str, format: str) -> None:
    session = engines.open_session(name, small_models.files[f"image.{format}"], format, IMAGE, 1)
    outputs = [session.run([image[None]])[0] for image in small_models.images]
    np.testing.assert_allclose(np.concatenate(outputs), small_models.scores, atol=1e-5)
    session.close()


@each_engine
def test_several_inputs_and_outputs_keep_the_signatures_order(
    small_models: SmallModels, name: str, format: str
) -> None:
    session = engines.open_session(name, small_models.files[f"pair.{format}"], format, PAIR, 1)
    outputs = session.run(small_models.pair_inputs)
    for output, expected in zip(outputs, small_models.pair_outputs, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)
    session.close()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("litert", "image.tflite"),
        ("executorch", "image.pte"),
        ("executorch", "plain.pte"),
        ("pytorch-mobile", "image.ptl"),
    ],
)
def test_a_hundred_runs_give_the_first_output(small_models: SmallModels, name: str, file: str) -> None:
    """Memory-planned inputs share space with intermediate values: set once, they go wrong from the second run on."""
    session = engines.open_session(name, small_models.files[file], file.rpartition(".")[2], IMAGE, 1)
    first = session.run([small_models.images[:1]])[0]
    for _ in range(99):
        np.testing.assert_array_equal(session.run([small_models.images[:1]])[0], first)
    session.close()


@each_engine
def test_outputs_do_not_change_when_the_model_runs_again(small_models: SmallModels, name: str, format: str) -> None:
    session = engines.open_session(name, small_models.files[f"image.{format}"], format, IMAGE, 1)
    first = session.run([small_models.images[:1]])[0]
    kept = first.copy()
    second = session.run([small_models.images[1:2]])[0]
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(second, kept)
    first[:] = 7
    np.testing.assert_array_equal(session.run([small_models.images[:1]])[0], kept)
    session.close()


@each_engine
def test_read_only_and_strided_inputs_are_taken(small_models: SmallModels, name: str, format: str) -> None:
    session = engines.open_session(name, small_models.files[f"image.{format}"], format, IMAGE, 1)
    expected = session.run([small_models.images[:1]])[0]
    wide = np.zeros((1, 1, 12, 24), np.float32)
    wide[..., ::2] = small_models.images[:1]
    read_only = small_models.images[:1].copy()
    read_only.flags.writeable = False
    for array in (wide[..., ::2], read_only, np.asfortranarray(read_only)):
        np.testing.assert_array_equal(session.run([array])[0], expected)
    session.close()


@each_engine
@pytest.mark.parametrize("threads", [1, 2])
def test_the_thread_count_is_what_was_asked_for(
    small_models: SmallModels, name: str, format: str, threads: int
) -> None:
    session = engines.open_session(name, small_models.files[f"image.{format}"], format, IMAGE, threads)
    assert session.threads == threads
    session.run([small_models.images[:1]])
    session.close()


def test_executorch_says_what_it_got_when_the_pool_is_in_use(small_models: SmallModels) -> None:
    first = engines.open_session("executorch", small_models.files["image.pte"], "pte", IMAGE, 1)
    second = engines.open_session("executorch", small_models.files["image.pte"], "pte", IMAGE, 2)
    assert (first.threads, second.threads) == (1, 1)
    first.close()
    second.close()
    second.close()
    third = engines.open_session("executorch", small_models.files["image.pte"], "pte", IMAGE, 2)
    assert third.threads == 2
    third.close()


def test_executorchs_pool_is_free_of_what_nobody_uses(small_models: SmallModels) -> None:
    data = small_models.files["image.pte"]
    with pytest.raises(EdgekitError, match="signature") as refused:
        engines.open_session("executorch", data, "pte", PAIR, 1)
    other = engines.open_session("executorch", data, "pte", IMAGE, 2)
    assert other.threads == 2 and refused.value.__traceback__, "which still has the session that was refused"
    del other  # without close
    last = engines.open_session("executorch", data, "pte", IMAGE, 1)
    assert last.threads == 1
    last.close()


@each_engine
def test_a_closed_session_says_so(small_models: SmallModels, name: str, format: str) -> None:
    session = engines.open_session(name, small_models.files[f"image.{format}"], format, IMAGE, 1)
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="closed"):
        session.run([small_models.images[:1]])


@each_engine
@pytest.mark.parametrize("data", [b"", b"rubbish" * 99], ids=["empty", "rubbish"])
def test_a_file_that_is_no_model_is_one_line(name: str, format: str, data: bytes) -> None:
    with pytest.raises(EdgekitError) as caught:
        engines.open_session(name, data, format, IMAGE, 1)
    assert (caught.value.code, caught.value.exit_code) == ("EK-BUNDLE", 6)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("name", "format"), IN_PROCESS[:2])
def test_a_file_that_does_not_fit_the_signature_is_refused(small_models: SmallModels, name: str, format: str) -> None:
    other = Signature((TensorSpec("image", (1, 1, 12, 13), "float32"),), IMAGE.outputs)
    whole = Signature(IMAGE.inputs, (TensorSpec("output", (1, 4), "int8"),))
    for signature, word in ((other, "image"), (whole, "output"), (PAIR, "signature")):
        with pytest.raises(EdgekitError, match=word) as caught:
            engines.open_session(name, small_models.files[f"image.{format}"], format, signature, 1)
        assert caught.value.code == "EK-RUN"


def test_litert_matches_names_where_the_file_has_them(small_models: SmallModels) -> None:
    named = Signature(
        tuple(TensorSpec(f"args_{index}", PAIR.inputs[index].shape, "float32") for index in (1, 0)),
        tuple(TensorSpec(f"output_{index}", PAIR.outputs[index].shape, "float32") for index in (1, 0)),
    )
    session = engines.open_session("litert", small_models.files["pair.tflite"], "tflite", named, 1)
    outputs = session.run(small_models.pair_inputs[::-1])
    np.testing.assert_allclose(outputs[0], small_models.pair_outputs[1], atol=1e-6)
    session.close()


def test_engines_are_listed_with_versions() -> None:
    assert set(engines.available()) >= {"litert", "executorch", "pytorch-mobile"}
    assert "executorch" not in engines.available("tflite")
    assert engines.available("pte").keys() == {"executorch"}


@pytest.mark.parametrize(
    ("name", "format", "threads", "code"),
    [("litrt", "tflite", 1, "EK-ENGINE"), ("litert", "pte", 1, "EK-ENGINE"), ("litert", "tflite", 0, "EK-ARGUMENT")],
)
def test_wrong_engine_format_or_threads_is_refused(name: str, format: str, threads: int, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        engines.open_session(name, b"", format, IMAGE, threads)
    assert caught.value.code == code


def test_an_engine_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    with pytest.raises(EdgekitError) as caught:
        engines.open_session("tflite-runtime", b"", "tflite", IMAGE, 1)
    assert caught.value.code == "EK-ENGINE"
    assert "doctor --setup tflite-runtime" in str(caught.value.hint)


def test_other_packages_add_engines_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    point = EntryPoint("mine", "edgekit.runtime.engines.litert:ENGINE", "edgekit.engines")
    monkeypatch.setattr("edgekit.registry._entry_points", lambda path: EntryPoints([point]))
    assert engines.ENGINES.names()[-1] == "mine" and "mine" in engines.ENGINES
    assert engines.engine("mine").formats == ("tflite",)
