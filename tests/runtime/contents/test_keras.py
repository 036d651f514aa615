"""``.keras`` files are read as data: what Keras would import, open or run in them is refused by name."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import pytest
from support.keras_files import facts

from edgekit.runtime.contents import Malformed, Refused, hdf5
from edgekit.runtime.contents.allowed import KERAS
from edgekit.runtime.contents.keras import read

Entries = dict[str, bytes]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
#: Layers that run code, or open files that their arguments name.
RISKY = {
    "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer", "TextVectorization",
    "TorchModuleWrapper",
}  # fmt: skip


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
    config["config"]["layers"][-1].update(changes)
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
        ({"class_name": "JaxLayer", "module": "keras.layers"}, "JaxLayer"),
        ({"class_name": "TorchModuleWrapper", "module": "keras.layers"}, "TorchModuleWrapper"),
        ({"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/passwd"}}, "Lookup"),
        ({"class_name": "TextVectorization", "module": "keras.layers"}, "TextVectorization"),
        ({"class_name": "Map", "module": "keras.src.ops.core", "config": {"f": EVIL}}, "Map"),
        ({"class_name": "WhileLoop", "module": "keras.src.ops.core"}, "WhileLoop"),
        ({"class_name": "Popen", "module": "subprocess", "registered_name": None}, "Popen"),
        ({"class_name": "Mine", "module": None, "registered_name": "ours>Mine"}, "Mine"),
        ({"class_name": "Dense", "module": "keras.layers", "registered_name": "ours>Dense"}, "ours>Dense"),
        ({"class_name": "Dense", "module": "keras.layers.os"}, "keras.layers.os"),
        ({"class_name": "Dense", "module": "keras.src.layers"}, "keras.src.layers"),
        ({"class_name": "get_file", "module": "keras.utils"}, "keras.utils"),
        ({"class_name": "function", "module": "os", "config": "system"}, "os"),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"}, "keras.utils"),
        ({"class_name": "function", "module": "builtins", "config": "os.system"}, "builtins"),
        ({"class_name": "__typespec__", "module": "subprocess"}, "__typespec__"),
    ],
)
def test_what_would_run_code_or_open_files_is_refused(changes: dict[str, Any], word: str) -> None:
    layer = {"registered_name": None, **changes}
    with pytest.raises(Refused, match=word) as caught:
        read(with_layer(**layer))
    assert caught.value.does


def test_a_class_without_a_module_is_refused() -> None:
    """Keras makes it the way that it made files of ten years ago, which knows fewer checks."""
    contents = entries(facts()["both"])
    config = json.loads(contents[CONFIG])
    del config["config"]["layers"][-1]["module"]
    with pytest.raises(Refused, match="the class 'Argmax', which is not on the list"):
        read(packed({**contents, CONFIG: json.dumps(config).encode()}))


def test_a_class_that_the_projects_own_code_registered_is_taken() -> None:
    data = with_layer(class_name="Mine", module=None, registered_name="ours>Mine")
    assert "ours>Mine" in read(data, {"ours>Mine"}).layers
    with pytest.raises(Refused):
        read(data, {"ours>Other"})


def test_the_list_has_every_layer_of_keras_but_those_that_take_files_or_functions() -> None:
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
    assert risky == RISKY and len(layers) > 100
    assert layers.keys() - risky == KERAS["keras.layers"]


def link(file: h5py.File) -> None:
    file["layers"]["more"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(file: h5py.File) -> None:
    file["layers"]["more"] = h5py.SoftLink("/layers")


def hard(file: h5py.File) -> None:
    file["layers"]["more"] = file["layers"]


def external(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file["layers"].create_virtual_dataset("more", layout)


def compressed(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def sparse(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (1 << 40,), "f4")


def growing(file: h5py.File) -> None:
    file["layers"].create_dataset("more", (4,), "f4", maxshape=(None,))


def text(file: h5py.File) -> None:
    file["layers"]["more"] = "text"


def named_type(file: h5py.File) -> None:
    file["more"] = np.dtype("f4")


@pytest.mark.parametrize("change", [link, soft, hard, external, virtual, compressed, sparse, growing, text, named_type])
def test_weights_are_in_the_file_as_plain_numbers(change: Callable[[h5py.File], None]) -> None:
    with pytest.raises(Malformed, match="the weights"):
        read(with_weights(change))


def test_weights_are_written_anew_with_the_same_values() -> None:
    stored = entries(facts()["both"])[WEIGHTS]
    written = hdf5.write(hdf5.read(stored))
    assert hdf5.write(hdf5.read(written)) == written
    arrays = dict(hdf5.arrays(hdf5.read(stored)))
    assert len(arrays) > 10
    with h5py.File(io.BytesIO(stored)) as before, h5py.File(io.BytesIO(written)) as after:
        for path in arrays:
            np.testing.assert_array_equal(after[path][...], before[path][...])
            assert after[path].dtype == before[path].dtype


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_arrays_of_every_type_and_groups_of_any_length_are_read_and_written(dtype: str) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for index in range(1000):
            file[f"many/v{index}"] = np.full((1, 2), index % 100, dtype)
        file["empty"], file["one"] = np.zeros((0, 3), dtype), np.array(7, dtype)
        file.create_group("nothing")
    group = hdf5.read(buffer.getvalue())
    with h5py.File(io.BytesIO(hdf5.write(group))) as file:
        assert file["one"][()] == 7 and file["empty"].shape == (0, 3) and list(file["nothing"]) == []
        assert len(file["many"]) == 1000
        assert all((file[f"many/v{index}"][...] == index % 100).all() for index in range(1000))


@pytest.mark.parametrize("libver", ["latest", "v110"])
def test_other_versions_of_the_format_are_refused(libver: str) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        file["x"] = np.zeros(3)
    with pytest.raises(Malformed, match="another version"):
        hdf5.read(buffer.getvalue())


def test_nothing_else_is_in_the_file() -> None:
    contents = entries(facts()["both"])
    with pytest.raises(Refused, match="assets"):
        read(packed({**contents, "assets/vocabulary.txt": b""}))
    with pytest.raises(Malformed, match="compressed"):
        read(packed(contents, zipfile.ZIP_DEFLATED))
    with pytest.raises(Malformed, match="no Keras model"):
        read(packed({CONFIG: contents[CONFIG]}))
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(Malformed):
        read(packed({**contents, CONFIG: deep}))


def test_sizes_that_no_weight_has_are_refused() -> None:
    """Keras makes all weights before it reads any."""
    contents = entries(facts()["both"])
    config = json.loads(contents[CONFIG])
    config["config"]["layers"][-1]["config"]["units"] = 10**10
    with pytest.raises(Malformed, match="10,000,000,000, and no weight is of that size"):
        read(packed({**contents, CONFIG: json.dumps(config).encode()}))


def test_keras_sees_what_was_checked() -> None:
    assert b"compile_config" in entries(with_layer(compile_config={"optimizer": EVIL}))[CONFIG]
    checked = read(with_layer(compile_config={"optimizer": EVIL}))
    assert b"compile_config" not in entries(checked.data)[CONFIG]
    assert checked.data == read(checked.data).data
