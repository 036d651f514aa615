"""Traces of operators: that they are of real inferences, on every kind of model that the engines run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels
from support.shared import Shared
from support.typed_models import TypedModels, build_typed_models

from edgekit.errors import EdgekitError, UsageError
from edgekit.profiling.operators import decode
from edgekit.runtime.engines import litert_c, litert_profiler, open_session
from edgekit.runtime.engines.litert_profiler import DELEGATED, ProfiledModel
from edgekit.runtime.profiler.tracing import trace

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


def test_litert_computes_under_the_profiler_what_its_interpreter_computes(small_models: SmallModels) -> None:
    for name in ("image.tflite", "image-int8.tflite"):
        data = small_models.files[name]
        session = open_session("litert", data, "tflite", IMAGE, 1)
        model = ProfiledModel(data, IMAGE, 1)
        for image in small_models.images[:4]:
            (expected,) = session.run([image[None]])
            np.testing.assert_array_equal(model.run([image[None]])[0], expected)
            (events,) = model.record([image[None]], 1)
            assert any(event.type == DELEGATED for event in events)
        model.close()
        model.close()
        session.close()


def test_litert_hands_over_many_events_in_portions(small_models: SmallModels, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ProfiledModel(small_models.files["image.tflite"], IMAGE, 1)
    inputs = [small_models.images[:1]]
    model.run(inputs)  # allocates tensors, which is an event of its own
    (first,) = model.record(inputs, 1)
    monkeypatch.setattr(litert_profiler, "_MOST_EVENTS", 3 * len(first))
    tags = [[(event.tag, event.type, event.index) for event in events] for events in model.record(inputs, 10)]
    assert tags == 10 * [[(event.tag, event.type, event.index) for event in first]]
    model.close()


def test_litert_maps_inputs_and_outputs_of_every_type_by_name(typed_models: TypedModels) -> None:
    facts = typed_models.typed_facts
    model = ProfiledModel(typed_models.typed["tflite"], facts.signature, 1)
    for _ in range(2):
        for output, expected in zip(model.run(facts.inputs), facts.outputs, strict=True):
            assert (output.dtype, output.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(output, expected)
    wide = [array + 2**31 if array.dtype == np.int64 else array for array in facts.inputs]
    with pytest.raises(UsageError, match="'long' holds values beyond int32"):
        model.run(wide)
    model.close()


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
    litert_c.library.cache_clear()
    for version, what in (("2.4.0", "traced on LiteRT 2.3, this is 2.4.0"), (None, "not installed")):
        monkeypatch.setattr(litert_c, "package_version", lambda _, version=version: version)
        with pytest.raises(EdgekitError, match=what) as caught:
            ProfiledModel(small_models.files["image.tflite"], IMAGE, 1)
        assert caught.value.code == "EK-ENGINE" and caught.value.hint


def test_a_library_without_a_function_is_refused(monkeypatch: pytest.MonkeyPatch, small_models: SmallModels) -> None:
    litert_c.library.cache_clear()
    monkeypatch.setitem(litert_c._FUNCTIONS, "GetNumProfiledAnything", ())
    with pytest.raises(EdgekitError, match="LiteRtGetNumProfiledAnything") as caught:
        ProfiledModel(small_models.files["image.tflite"], IMAGE, 1)
    assert caught.value.code == "EK-ENGINE"
    litert_c.library.cache_clear()


_PROGRAM = """
import json, sys
import numpy as np
from edgekit.runtime.engines.litert_profiler import ProfiledModel
from edgekit.runtime.profiler.tracing import trace
from edgekit.tensors import Signature, TensorSpec
signature = Signature((TensorSpec("image", (1, 1, 12, 12), "float32"),), (TensorSpec("output", (1, 4), "float32"),))
data, image = open(sys.argv[1], "rb").read(), np.zeros((1, 1, 12, 12), np.float32)
model = ProfiledModel(data, signature, 3)
model.run([image])
tasks = sum(1 for _ in __import__("os").scandir("/proc/self/task"))
model.close()
trace(sys.argv[2], open(sys.argv[3], "rb").read(), signature, 1, [image], runs=2)
heavy = {"torch", "pandas", "tensorflow", "ai_edge_litert"} & set(sys.modules)
print(json.dumps({"tasks": tasks, "heavy": sorted(heavy)}))
"""


def test_a_trace_uses_the_threads_asked_for_and_imports_nothing_heavy(
    small_models: SmallModels, tmp_path: Path
) -> None:
    for format in ("tflite", "pte"):
        (tmp_path / f"image.{format}").write_bytes(small_models.files[f"image.{format}"])
    command = [sys.executable, "-c", _PROGRAM, tmp_path / "image.tflite", "executorch", tmp_path / "image.pte"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "EDGEKIT_HOME") if name in os.environ}
    environment = {**kept, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout) == {"tasks": 3, "heavy": []}
    assert "ERROR" not in done.stderr and "WARNING" not in done.stderr


def test_the_known_version_of_litert_is_the_installed_one() -> None:
    assert metadata.version("ai-edge-litert").startswith("2.3.")
