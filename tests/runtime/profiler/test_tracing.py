"""Traces of operators: that they are of real inferences, on every kind of model that the engines run."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels
from support.shared import Shared
from support.typed_models import TypedModels, build_typed_models

from edgekit.errors import EdgekitError
from edgekit.profiling.operators import decode
from edgekit.runtime import native
from edgekit.runtime.engines import litert, open_session
from edgekit.runtime.native import command
from edgekit.runtime.native.build import runner_here
from edgekit.runtime.profiler.tracing import trace
from edgekit.tensors import Signature

#: What LiteRT calls the type of an event inside a delegate.
_DELEGATED = 8

BOTH = [("litert", "tflite"), ("executorch", "pte")]
both = pytest.mark.parametrize(("engine", "format"), BOTH)


@pytest.fixture(scope="module")
def typed_models() -> TypedModels:
    folder = Shared.once("typed", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_typed_models())))
    models: TypedModels = pickle.loads((folder / "models").read_bytes())
    return models


@both
def test_a_trace_holds_as_many_inferences_as_were_asked_for(
    small_models: SmallModels, engine: str, format: str
) -> None:
    """Those of the warm-up, and loading, are not among them."""
    recorded = trace(engine, small_models.files[f"image.{format}"], IMAGE, 1, [small_models.images[:1]], runs=7)
    assert decode(recorded).runs == 7


@both
def test_models_of_several_inputs_and_outputs_are_traced(small_models: SmallModels, engine: str, format: str) -> None:
    operators = decode(trace(engine, small_models.files[f"pair.{format}"], PAIR, 2, small_models.pair_inputs, runs=3))
    assert any(row.type.startswith("Fully Connected") for row in operators.operators)


def traced_by_runner(
    data: bytes, signature: Signature, inputs: Sequence[np.ndarray], folder: Path, repeat: int
) -> tuple[list[np.ndarray], list[list[tuple[str, int, int]]]]:
    """The outputs of the last of *repeat* traced inferences, and tag, type and index of the events of each."""
    (folder / "model.tflite").write_bytes(data)
    for file, array in zip(command.input_files(str(folder), signature), inputs, strict=True):
        Path(file).write_bytes(array.tobytes())
    words = command.options(
        "litert",
        str(folder / "model.tflite"),
        signature,
        str(folder),
        threads=1,
        repeat=repeat,
        trace=str(folder / "trace"),
    )
    environment = {"LD_LIBRARY_PATH": str(litert.library().parent)}
    done = subprocess.run([runner_here(), *words], check=True, stdout=subprocess.PIPE, env=environment)
    runs = json.loads((folder / "trace").read_bytes())["runs"]
    outputs = [
        np.fromfile(folder / f"output_{index}.raw", made["dtype"]).reshape(made["shape"])
        for index, made in enumerate(json.loads(done.stdout)["outputs"])
    ]
    return outputs, [[(tag, kind, index) for tag, kind, _, index in events] for events in runs]


def test_litert_computes_under_the_profiler_what_its_interpreter_computes(
    small_models: SmallModels, tmp_path: Path
) -> None:
    for name in ("image.tflite", "image-int8.tflite"):
        data = small_models.files[name]
        session = open_session("litert", data, "tflite", IMAGE, 1)
        for image in small_models.images[:4]:
            (expected,) = session.run([image[None]])
            (found,), (events,) = traced_by_runner(data, IMAGE, [image[None]], tmp_path, 1)
            np.testing.assert_array_equal(found, expected)
            assert any(kind == _DELEGATED for _, kind, _ in events)
        session.close()


def test_litert_hands_over_many_events_in_portions(small_models: SmallModels, tmp_path: Path) -> None:
    """The profiler keeps some and forgets the first: the runner takes them from it after 20,000."""
    _, runs = traced_by_runner(small_models.files["image.tflite"], IMAGE, [small_models.images[:1]], tmp_path, 5000)
    assert sum(map(len, runs)) > 40_000
    assert runs == 5000 * [runs[0]]


def test_litert_takes_inputs_and_outputs_of_every_type_by_name(typed_models: TypedModels, tmp_path: Path) -> None:
    facts, data = typed_models.typed_facts, typed_models.typed["tflite"]
    outputs, _ = traced_by_runner(data, facts.signature, facts.inputs, tmp_path, 2)
    for output, expected in zip(outputs, facts.outputs, strict=True):
        np.testing.assert_array_equal(output, expected)
    wide = [array + 2**31 if array.dtype == np.int64 else array for array in facts.inputs]
    with pytest.raises(EdgekitError, match="holds values beyond int32"):
        trace("litert", data, facts.signature, 1, wide)


@both
@pytest.mark.parametrize("method", ["encode", "decode"])
def test_each_method_of_a_file_is_traced(typed_models: TypedModels, engine: str, format: str, method: str) -> None:
    facts = typed_models.coder_facts[method]
    data = typed_models.coder[format]
    assert decode(trace(engine, data, facts.signature, 1, facts.inputs, runs=2, method=method)).runs == 2
    with pytest.raises(EdgekitError) as caught:
        trace(engine, data, facts.signature, 1, facts.inputs, runs=2)
    assert caught.value.code == "EK-RUN", "there is no main one"


def test_other_engines_say_that_they_are_not_traced(small_models: SmallModels) -> None:
    with pytest.raises(EdgekitError, match="torch has no operator trace here") as caught:
        trace("torch", b"", IMAGE, 1, [small_models.images[:1]])
    assert caught.value.code == "EK-ENGINE"


@both
def test_files_that_the_engine_refuses_or_that_do_not_fit_are_named(
    small_models: SmallModels, engine: str, format: str
) -> None:
    for data in (b"this is no model file, however long it may be", small_models.files[f"pair.{format}"]):
        with pytest.raises(EdgekitError) as caught:
            trace(engine, data, IMAGE, 1, [small_models.images[:1]], runs=1)
        assert caught.value.code == "EK-RUN" and "\n" not in caught.value.message


def test_other_versions_of_litert_are_refused(monkeypatch: pytest.MonkeyPatch, small_models: SmallModels) -> None:
    for version, what in (("2.4.0", "traced on LiteRT 2.3, this is 2.4.0"), (None, "not installed")):
        monkeypatch.setattr(litert, "package_version", lambda _, version=version: version)
        with pytest.raises(EdgekitError, match=what) as caught:
            trace("litert", small_models.files["image.tflite"], IMAGE, 1, [small_models.images[:1]])
        assert caught.value.code == "EK-ENGINE" and caught.value.hint


@pytest.mark.parametrize(
    ("does", "code", "words"),
    [
        ("kill -SEGV $$", "EK-CRASHED", r"litert's process died \(SIGSEGV\)"),
        ("echo no such library >&2; exit 127", "EK-RUN", "litert failed to trace the model: no such library"),
        ("exit 1", "EK-RUN", "it gave no reason"),
        (None, "EK-RUN", "litert failed to start .*edgekit-runner: "),
    ],
)
def test_a_runner_that_does_not_run_is_said(
    monkeypatch: pytest.MonkeyPatch, small_models: SmallModels, tmp_path: Path, does: str | None, code: str, words: str
) -> None:
    (tmp_path / native.RUNNER).write_text(f"#!/bin/sh\n{does}\n")
    (tmp_path / native.RUNNER).chmod(0o644 if does is None else 0o755)
    monkeypatch.setenv("EDGEKIT_NATIVE", str(tmp_path))
    with pytest.raises(EdgekitError, match=words) as caught:
        trace("litert", small_models.files["image.tflite"], IMAGE, 1, [small_models.images[:1]])
    assert caught.value.code == code


_PROGRAM = """
import json, sys
import numpy as np
from edgekit.runtime.profiler.tracing import trace
from edgekit.tensors import Signature, TensorSpec
signature = Signature((TensorSpec("image", (1, 1, 12, 12), "float32"),), (TensorSpec("output", (1, 4), "float32"),))
for engine, path in zip(sys.argv[1::2], sys.argv[2::2]):
    trace(engine, open(path, "rb").read(), signature, 1, [np.zeros((1, 1, 12, 12), np.float32)], runs=2)
print(json.dumps(sorted({"torch", "pandas", "tensorflow", "ai_edge_litert"} & set(sys.modules))))
"""


def test_a_trace_imports_nothing_heavy(small_models: SmallModels, tmp_path: Path) -> None:
    arguments = []
    for engine, format in BOTH:
        (tmp_path / f"image.{format}").write_bytes(small_models.files[f"image.{format}"])
        arguments += [engine, str(tmp_path / f"image.{format}")]
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert "ERROR" not in done.stderr and "WARNING" not in done.stderr


def test_the_known_version_of_litert_is_the_installed_one() -> None:
    assert metadata.version("ai-edge-litert").startswith(f"{native.LITERT}.")
