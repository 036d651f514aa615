"""``.pt2`` archives are read as data: what torch would execute in them is refused first."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.baselines import SIGNATURE, export

from edgekit.errors import EdgekitError
from edgekit.runtime.engines import open_session
from edgekit.runtime.engines.pt2 import read_pt2

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return export("pt2", tmp_path_factory.mktemp("pt2") / "model.pt2")


def entries(data: bytes) -> Entries:
    archive = zipfile.ZipFile(io.BytesIO(data))
    return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(contents: Entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def changed(data: bytes, file: str, change: Callable[[Any], Any]) -> bytes:
    contents = entries(data)
    value = json.loads(contents[file])
    change(value)
    return packed({**contents, file: json.dumps(value).encode()})


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def with_pickled_samples(data: bytes, folder: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Evil(folder),), buffer, pickle_module=pickle)
    return packed({**entries(data), "data/sample_inputs/model.pt": buffer.getvalue()})


def with_pickled_weight(data: bytes, folder: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Evil(folder),), buffer, pickle_module=pickle)

    def change(config: Any) -> None:
        first = next(iter(config["config"].values()))
        first["use_pickle"] = True
        contents[f"data/weights/{first['path_name']}"] = buffer.getvalue()

    contents = entries(data)
    value = json.loads(contents[WEIGHTS])
    change(value)
    return packed({**contents, WEIGHTS: json.dumps(value).encode()})


def with_python_call(data: bytes, folder: Path) -> bytes:
    def change(program: Any) -> None:
        node = program["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.os.mkdir"
        node["inputs"] = [{"name": "path", "arg": {"as_string": str(folder)}, "kind": 1}]

    return changed(data, PROGRAM, change)


@pytest.mark.parametrize("spoil", [with_pickled_samples, with_pickled_weight])
def test_pickles_that_torch_would_execute_are_refused(
    good: bytes, tmp_path: Path, spoil: Callable[[bytes, Path], bytes]
) -> None:
    """When torch no longer makes the folder, `edgekit.runtime.engines.pt2` can do less."""
    data = spoil(good, tmp_path / "made")
    with pytest.raises(EdgekitError, match="pickled") as caught:
        open_session("torch", data, "pt2", SIGNATURE, 1)
    assert caught.value.code == "EK-RUN" and not (tmp_path / "made").exists()
    with contextlib.suppress(Exception):  # it has done it by then, whatever it says of the rest
        torch.export.load(io.BytesIO(data))
    assert (tmp_path / "made").exists()


def test_a_call_of_python_is_refused(good: bytes, tmp_path: Path) -> None:
    data = with_python_call(good, tmp_path / "made")
    with pytest.raises(EdgekitError, match=r"calls torch\.os\.mkdir"):
        open_session("torch", data, "pt2", SIGNATURE, 1)
    assert not (tmp_path / "made").exists()


def set_target(target: str) -> Callable[[Any], None]:
    return lambda program: program["graph_module"]["graph"]["nodes"][0].update(target=target)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_target("math.sqrt"), "no ATen operator"),
        (set_target("torch.ops.load_library"), "no ATen operator"),
        (set_target("torch.ops.aten.from_file.default"), "no ATen operator"),
        (set_target("torch.ops.aten.add.Tensor.__class__"), "no ATen operator"),
        (lambda p: p["graph_module"]["graph"]["nodes"][0]["inputs"][0].update(arg={"as_operator": "os"}), "code"),
        (lambda p: p["graph_module"]["graph"]["tensor_values"]["left"]["sizes"].append({"as_expr": {}}), "code"),
        (lambda p: p["graph_module"]["module_call_graph"].append({"in_spec": '{"__enum__": true}'}), "import"),
        (lambda p: p.update(range_constraints={"s0": {"min_val": 1}}), "not fixed"),
        (lambda p: p.update(guards_code=["print()"]), "not fixed"),
        (lambda p: p["graph_module"]["graph"].update(nodes=None), "not fixed|no exported program"),
        (lambda p: p.pop("graph_module"), "no exported program"),
    ],
)
def test_what_torch_would_evaluate_or_import_is_refused(good: bytes, change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_pt2(changed(good, PROGRAM, change))


@pytest.mark.parametrize("name", ["data/aotinductor/model/model.so", "data/weights/model.pt", "extra/notes", "../up"])
def test_other_files_in_the_archive_are_refused(good: bytes, name: str) -> None:
    with pytest.raises(ValueError, match="no float program needs"):
        read_pt2(packed({**entries(good), name: b"\x7fELF"}))


def test_a_compressed_archive_is_refused(good: bytes) -> None:
    with pytest.raises(ValueError, match="compressed"):
        read_pt2(packed(entries(good), zipfile.ZIP_DEFLATED))


def test_what_torch_gets_is_what_was_checked(good: bytes) -> None:
    """Two files of one name, or bytes around the archive, could be read in two ways."""
    contents = entries(good)
    archive = read_pt2(b"before" + good)
    assert entries(archive.data) == contents
    assert torch.export.load(io.BytesIO(archive.data)).graph_signature.user_inputs == ("left", "index")


def test_every_cut_is_refused_in_one_line(good: bytes) -> None:
    for size in range(0, len(good), 997):
        with pytest.raises(EdgekitError) as caught:
            open_session("torch", good[:size], "pt2", SIGNATURE, 1)
        assert caught.value.code == "EK-RUN" and "\n" not in caught.value.message
