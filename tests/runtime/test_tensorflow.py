"""TensorFlow as an engine: the same answers as the Keras model, from a file that can run no code."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.keras_files import MISFITS, facts

from edgekit.errors import BundleError
from edgekit.pipeline.inspection import inspect_file
from edgekit.runtime.engines.keras_file import REFUSED_LAYERS, read_keras

Entries = dict[str, bytes]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def test_outputs_are_those_of_the_keras_model() -> None:
    assert facts()["dtypes"] == ["float32", "int32"]
    for given, wanted in zip(facts()["outputs"], facts()["reference"], strict=True):
        np.testing.assert_allclose(given[0], wanted[0], atol=1e-6)
        assert given[1] == wanted[1]
    assert len({json.dumps(given) for given in facts()["outputs"]}) > 1
    assert facts()["in steps"] == facts()["outputs"][1]


def test_outputs_are_fresh_and_inputs_may_be_strided_or_read_only() -> None:
    assert facts()["fresh"]


def test_the_threads_are_those_that_tensorflow_started_with() -> None:
    """It starts once in a process: a second session that asks for others is told what it has."""
    assert facts()["threads"] == [2, 2]
    assert facts()["device"].endswith("CPU:0")


def test_asking_for_the_version_imports_nothing() -> None:
    assert facts()["version"] == "2.21.0" and facts()["imported by version()"] == []


@pytest.mark.parametrize("word", MISFITS)
def test_a_file_that_does_not_fit_the_signature_is_refused(word: str) -> None:
    error = facts()["misfits"][word]
    assert error["code"] == "EK-RUN" and word in error["message"] and "\n" not in error["message"]


def test_what_cannot_run_says_so() -> None:
    assert "closed" in facts()["closed"]["message"]
    assert "encode" in facts()["method"]["message"]
    assert facts()["rubbish"]["code"] == "EK-RUN" and "no Keras model" in facts()["rubbish"]["message"]


def test_a_file_is_the_same_whenever_and_after_whatever_it_is_exported() -> None:
    assert facts()["both"] == facts()["again"]


def test_layers_of_a_projects_own_are_refused_at_export() -> None:
    error = facts()["refused"]
    assert error["code"] == "EK-UNSUPPORTED" and "'Own'" in error["message"] and ".pt2" in error["hint"]


def test_a_file_tells_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "both.keras"
    path.write_bytes(facts()["both"])
    found = inspect_file(path, "keras")
    assert found.kinds == ("convolution", "linear", "recurrent") and found.delegated_share is None
    assert found.operators["Dense"] == 2 and "InputLayer" not in found.operators
    matrices = 10 * 4 + 4 * 16 * 2 + 3 * 3 * 2 * 4 + 4 * 4 + 4 * 3
    assert found.weight_bytes == {"float32": 4 * matrices}
    path.write_bytes(facts()["both"][:600])
    with pytest.raises(BundleError):
        inspect_file(path, "keras")


def entries(data: bytes) -> Entries:
    archive = zipfile.ZipFile(io.BytesIO(data))
    return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_layer(**changes: Any) -> bytes:
    """The file with something else in place of its last layer."""
    contents = entries(facts()["both"])
    config = json.loads(contents[CONFIG])
    layer = config["config"]["layers"][-1]
    layer.update(changes)
    return packed({**contents, CONFIG: json.dumps(config).encode()})


def with_weights(change: Callable[[h5py.File], None]) -> bytes:
    contents = entries(facts()["both"])
    buffer = io.BytesIO(contents[WEIGHTS])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return packed({**contents, WEIGHTS: buffer.getvalue()})


EVIL = {"class_name": "__lambda__", "config": {"value": base64.b64encode(b"code").decode()}}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"class_name": "Lambda", "module": "keras.layers", "config": {"function": EVIL}}, "Lambda"),
        ({"config": {"activation": EVIL}}, "__lambda__"),
        ({"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/etc"}}, "TFSMLayer"),
        ({"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/passwd"}}, "Lookup"),
        ({"class_name": "Popen", "module": "subprocess", "registered_name": None}, "Popen"),
        ({"class_name": "Mine", "module": None, "registered_name": "ours>Mine"}, "Mine"),
        ({"class_name": "Dense", "module": "keras.layers", "registered_name": "ours>Dense"}, "ours>Dense"),
        ({"class_name": "Dense", "module": "keras.layers.os"}, "keras.layers.os"),
        ({"class_name": "function", "module": "os", "config": "system"}, "os"),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"}, "keras.utils"),
        ({"class_name": "__typespec__", "module": "subprocess"}, "__typespec__"),
    ],
)
def test_what_would_run_code_or_open_files_is_refused(changes: dict[str, Any], word: str) -> None:
    layer = {"registered_name": None, **changes}
    with pytest.raises(ValueError, match=word):
        read_keras(with_layer(**layer))


def test_a_class_without_a_module_is_refused() -> None:
    """Keras makes it the way that it made files of ten years ago, which knows fewer checks."""
    contents = entries(facts()["both"])
    config = json.loads(contents[CONFIG])
    del config["config"]["layers"][-1]["module"]
    with pytest.raises(ValueError, match="None, which is not Keras's own"):
        read_keras(packed({**contents, CONFIG: json.dumps(config).encode()}))


def test_every_layer_that_takes_files_or_functions_is_refused() -> None:
    """Those of Keras 3.15; a layer that a later one adds has to be looked at."""
    code = """
import inspect, json, keras
found = {name: list(inspect.signature(kind.__init__).parameters) for name, kind in vars(keras.layers).items()
         if isinstance(kind, type) and issubclass(kind, keras.layers.Layer)}
print(json.dumps(found))
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    layers = json.loads(said.stdout.splitlines()[-1])
    words = ("file", "path", "vocabulary", "fn", "function", "module")
    risky = {name for name, names in layers.items() if any(word in each for each in names for word in words)}
    assert risky == REFUSED_LAYERS and len(layers) > 100


def link(file: h5py.File) -> None:
    file["layers"]["more"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(file: h5py.File) -> None:
    file["layers"]["more"] = h5py.SoftLink("/layers")


def external(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def compressed(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def text(file: h5py.File) -> None:
    file["layers"]["more"] = "text"


@pytest.mark.parametrize("change", [link, soft, external, compressed, text])
def test_weights_are_in_the_file_as_plain_numbers(change: Callable[[h5py.File], None]) -> None:
    with pytest.raises(ValueError, match="more"):
        read_keras(with_weights(change))


def test_nothing_else_is_in_the_file() -> None:
    contents = entries(facts()["both"])
    with pytest.raises(ValueError, match="assets"):
        read_keras(packed({**contents, "assets/vocabulary.txt": b""}))
    with pytest.raises(ValueError, match="compressed"):
        read_keras(packed(contents, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="no Keras model"):
        read_keras(packed({CONFIG: contents[CONFIG]}))
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(ValueError, match="no Keras model"):
        read_keras(packed({**contents, CONFIG: deep}))


def test_keras_sees_what_was_checked() -> None:
    assert b"compile_config" in entries(with_layer(compile_config={"optimizer": EVIL}))[CONFIG]
    checked = read_keras(with_layer(compile_config={"optimizer": EVIL}))
    assert b"compile_config" not in entries(checked.data)[CONFIG]
    assert checked.data == read_keras(checked.data).data
