"""What people hold in TensorFlow, as sources: signatures, modules, graphs, checkpoints, and ``.tflite`` files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from support.tensorflow_facts import facts, folder

from edgekit.errors import UsageError
from edgekit.pipeline.exporters.litert import quantize
from edgekit.pipeline.exporters.tflite import export
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.signatures import choose, chosen
from edgekit.pipeline.sources.tflite import TfliteSource, open_source
from edgekit.pipeline.sources.tflite_graph import only, shaped, signed, unpacked
from edgekit.pipeline.sources.tflite_recipe import recipe_of
from edgekit.pipeline.sources.tflite_state import Handed, handed

pytestmark = pytest.mark.slow

SIGNATURES = {
    "pick": (["a", "k", "unread", "z"], ["k again", "y"]),
    "waveform": (["waveform"], ["frames", "loudness"]),
    "module": (["x", "extra"], ["output_0", "output_1.a", "output_1.b"]),
    "frozen, logits": (["images"], ["logits", "probs"]),
    "frozen, cut": (["Relu"], ["probs"]),
    "checkpoint, found": (["images"], ["probs"]),
    "two of lite": (["unread", "k", "a", "z"], ["k again", "y"]),
}
REFUSED = {
    "several signatures": ("EK-ARGUMENT", "two has the signatures image, pick"),
    "no such signature": ("EK-ARGUMENT", "two has no signature 'images'"),
    "several of lite": ("EK-ARGUMENT", "two.tflite has the signatures image, pick"),
    "open axis": ("EK-SOURCE", "'x' of open has shape [?, ?, 8]"),
    "another size": ("EK-ARGUMENT", "--shape says 'x' is [1, 5, 9], in open it is [?, ?, 8]"),
    "another input": ("EK-ARGUMENT", "open has no input 'y'"),
    "text": ("EK-SOURCE", "'words' of text is string"),
    "no functions": ("EK-CODE", "net.py:nothing() returned Module"),
    "several functions": ("EK-ARGUMENT", "net.py:make has the signatures decode, encode"),
    "graph with a name": ("EK-ARGUMENT", "frozen.pb has no signature 'serving_default': it is a graph"),
    "no such tensor": ("EK-ARGUMENT", "frozen.pb has no tensor 'logit'"),
    "unfed": ("EK-ARGUMENT", "the outputs of frozen.pb depend on 'images'"),
    "training": ("EK-CONTENTS", "run 'SparseSoftmaxCrossEntropyWithLogits': this trains the model"),
    "reads a file": ("EK-CONTENTS", "reads.pb is refused: it holds the operator 'ReadFile': this reads files"),
    "reads a file, chosen": ("EK-CONTENTS", "reads.pb is refused: it holds the operator 'ReadFile': this reads files"),
    "saved_model.pb": ("EK-SOURCE", "it is the graph of a SavedModel: give the folder"),
}


def case(name: str) -> dict[str, Any]:
    found: dict[str, Any] = facts()["cases"][name]
    return found


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_and_order_are_the_models_own(name: str) -> None:
    signature = case(name)["signature"]
    sides = (signature["inputs"], signature["outputs"])
    assert tuple([spec["name"] for spec in side] for side in sides) == SIGNATURES[name]


def test_what_has_no_axis_for_samples_gets_one() -> None:
    signature = case("waveform")["signature"]
    assert [spec["shape"] for spec in (*signature["inputs"], *signature["outputs"])] == [[1, 400], [1, 99, 5], [1]]


def test_outputs_are_what_tensorflow_gives() -> None:
    differs = {name: each["differs"] for name, each in facts()["cases"].items() if each["differs"] is not None}
    assert len(differs) > 10 and max(differs.values()) < 1e-5


def test_other_last_bits_of_the_weights_move_the_outputs() -> None:
    moved = {name: each["moved"] for name, each in facts()["cases"].items() if "int8" not in name}
    assert all(0 < each < 0.01 for each in moved.values())


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_built_is_said_in_one_line(name: str) -> None:
    error, (code, words) = facts()["refused"][name], REFUSED[name]
    assert error["code"] == code and words in error["message"] and error["hint"] and "\n" not in error["message"]


def test_what_a_graph_holds_besides_is_cut_off() -> None:
    """It reads a file for another output than the one that was chosen."""
    assert facts()["refused"]["reads elsewhere"]["taken"]


def opened(name: str, **more: Any) -> TfliteSource:
    return open_source(SourceSpec("tflite", str(folder() / name), **more))


@pytest.mark.parametrize(
    ("name", "recipe"), [("float", "fp32"), ("half", "fp16"), ("int8", "int8"), ("int8-io", "int8")]
)
def test_what_a_file_is_in_is_read(name: str, recipe: str) -> None:
    assert recipe_of(folder() / f"{name}.tflite") == recipe


@pytest.mark.parametrize(("name", "recipe"), [("float", "fp32"), ("half", "fp16"), ("int8", "int8")])
def test_a_file_comes_out_as_it_is(name: str, recipe: str, tmp_path: Path) -> None:
    source = folder() / f"{name}.tflite"
    spec = SourceSpec("tflite", str(source)).to_json()
    export(source=spec, recipe=recipe, calibration=None, output=str(tmp_path / "model"))
    assert (tmp_path / "model").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", ["half", "sparse"])
def test_a_packed_file_computes_alike_when_it_is_unpacked(name: str) -> None:
    data = (folder() / f"{name}.tflite").read_bytes()
    open_file = unpacked(data)
    inputs = np.load(folder() / f"{name}.inputs.npz")["image"][:1]
    results = [Interpreter(model_content=each).get_signature_runner()(image=inputs) for each in (data, open_file)]
    for key, value in results[0].items():
        np.testing.assert_allclose(results[1][key], value, rtol=0, atol=1e-6)
    assert unpacked(open_file) == open_file


def test_int8_of_a_packed_file_is_made_of_what_it_unpacks_to(tmp_path: Path) -> None:
    spec = SourceSpec("tflite", str(folder() / "half.tflite")).to_json()
    samples = tmp_path / "samples.npz"
    np.savez(samples, image=np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32))
    export(source=spec, recipe="int8", calibration=str(samples), output=str(tmp_path / "model"))
    assert set(inspect_file(tmp_path / "model", "tflite").weight_bytes) == {"int8"}


def test_stock_quantizer_leaves_weights_in_half_precision(tmp_path: Path) -> None:
    """When this fails, `unpacked` need not turn them into float32."""
    samples = tmp_path / "samples.npz"
    np.savez(samples, image=np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32))
    half = str(folder() / "half.tflite")
    try:
        quantize(base=half, recipe="int8", calibration=str(samples), output=str(tmp_path / "model"))
    except Exception:  # it may say so, too
        return
    assert "float16" in inspect_file(tmp_path / "model", "tflite").weight_bytes


def test_one_signature_of_several_stands_alone() -> None:
    data = (folder() / "two.tflite").read_bytes()
    for name in ("image", "pick"):
        alone = only(data, name)
        interpreter = Interpreter(model_content=alone)
        assert list(interpreter.get_signature_list()) == [name]
        assert len(alone) < len(data)
        interpreter.allocate_tensors()  # the first graph is its own
        wanted = Interpreter(model_content=data).get_signature_runner(name).get_input_details()
        assert {each["name"] for each in interpreter.get_input_details()} == {each["name"] for each in wanted.values()}
    assert only((folder() / "float.tflite").read_bytes(), "image") == (folder() / "float.tflite").read_bytes()


def test_open_axes_are_closed_in_the_file() -> None:
    data = shaped((folder() / "open.tflite").read_bytes(), {"serving_default_x:0": (1, 5, 8)})
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert sorted(each["shape"].tolist() for each in details) == [[1, 5], [1, 5, 5], [1, 5, 8]]
    assert all(-1 not in each["shape_signature"] for each in details)


def test_a_file_without_signatures_gets_one_to_be_quantized() -> None:
    source = opened("float.tflite")
    bare = _unsigned(source.data)
    assert not Interpreter(model_content=bare).get_signature_list()
    listed = Interpreter(model_content=signed(bare, source.signature)).get_signature_list()
    assert listed == {"serving_default": {"inputs": ["image"], "outputs": ["map", "scores"]}}


def _unsigned(data: bytes) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_a_state_goes_in_and_out() -> None:
    data = (folder() / "memory.tflite").read_bytes()
    found = handed(data)
    assert found is not None
    names = {"queue": ("queue_next", "0.0"), "count_1": ("count_1_next", "5"), "level_1": ("level_1_next", "0.5")}
    assert found.states == names
    remembering, handing = (Interpreter(model_content=each).get_signature_runner() for each in (data, found.data))
    details = handing.get_input_details()
    assert details.keys() == {"x", *names}
    states = {
        name: np.full(details[name]["shape"], float(first), details[name]["dtype"])
        for name, (_, first) in names.items()
    }
    random = np.random.default_rng(0)
    for _ in range(6):
        x = random.normal(size=(1, 4)).astype(np.float32)
        expected, outputs = remembering(x=x), handing(x=x, **states)
        assert all(np.array_equal(outputs[name], expected[name]) for name in ("count", "level", "sum"))
        states = {name: outputs[after] for name, (after, _) in names.items()}
    assert expected["count"] == 2 * (2 * (2 * (2 * (2 * (2 * 6 + 1) + 1) + 1) + 1) + 1)


def test_a_state_of_a_file_without_signatures_has_its_own_name() -> None:
    found = handed(_unsigned((folder() / "memory.tflite").read_bytes()))
    assert found is not None
    source = TfliteSource(found.data, SourceSpec("tflite", "memory.tflite"))
    assert [spec.name for spec in source.signature.inputs[1:]] == list(found.states) == ["queue", "count", "level"]
    assert [spec.name for spec in source.signature.outputs[3:]] == ["queue_next", "count_next", "level_next"]


def test_a_bundle_says_what_becomes_of_a_state(tmp_path: Path) -> None:
    spec = SourceSpec("tflite", str(folder() / "memory.tflite")).to_json()
    made = export(source=spec, recipe="fp32", calibration=None, output=str(tmp_path / "model"))
    assert "hand it its state, queue from queue_next (0.0 at first), count_1" in made["warnings"][0]


def test_what_begins_uneven_stays_refused() -> None:
    assert handed((folder() / "memory-uneven.tflite").read_bytes()) is None
    with pytest.raises(UsageError, match=r"memory-uneven\.tflite keeps a state"):
        open_source(SourceSpec("tflite", str(folder() / "memory-uneven.tflite")))


def test_a_file_without_a_state_stays_as_it_is() -> None:
    data = (folder() / "float.tflite").read_bytes()
    assert handed(data) == Handed(data)


def test_a_file_that_keeps_a_state_is_refused_by_name(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray((folder() / "float.tflite").read_bytes()))
    state = schema.TensorT()
    state.name, state.shape, state.buffer, state.isVariable = b"memory", [1, 4], 0, True
    model.subgraphs[0].tensors.append(state)
    path = tmp_path / "stateful.tflite"
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(UsageError, match=r"keeps a state from call to call \(the variable 'memory'\)") as caught:
        open_source(SourceSpec("tflite", str(path)))
    assert "edgekit run" in str(caught.value.hint)


def test_a_signature_is_chosen_before_a_framework_is_imported() -> None:
    spec = SourceSpec("saved-model", str(folder() / "two"))
    with pytest.raises(UsageError, match="has the signatures image, pick"):
        chosen(spec)
    assert chosen(SourceSpec("saved-model", str(folder() / "slots"))).signature == "serving_default"
    assert chosen(SourceSpec("tflite", str(folder() / "two.tflite"), signature="pick")).signature == "pick"


def test_a_model_without_signatures_takes_none() -> None:
    with pytest.raises(UsageError, match=r"a Keras model has one signature, and 'x' chooses nothing"):
        chosen(SourceSpec("keras", "net.keras", signature="x"))


def test_the_usual_signature_is_taken() -> None:
    assert choose("net", ["a", "serving_default"], None) == "serving_default"
    assert choose("net", ["a"], None) == "a"


def test_specs_survive_json() -> None:
    spec = SourceSpec("saved-model", "two", signature="pick", shapes={"x": (1, 5)})
    assert SourceSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
