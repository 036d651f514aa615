"""Model files and weights that hold more than data are refused before anything reads them, or taken when trusted."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.hostile_files import PT2, Evil, good_pt2, weights

from edgekit.errors import UsageError
from edgekit.pipeline.project.origin import find_origin
from edgekit.pipeline.sources import SourceSpec, contents, open_source
from edgekit.tensors import TensorSpec

FACTORY = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)
"""


def spec_of(path: Path, trust: bool = False) -> SourceSpec:
    return find_origin(str(path), trust=trust).source


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "name",
    ["pickled weight", "calls Python", "imports by a tree", "code as an input's name", "a pickle in an archive",
     "opens a file", "as_strided", "brings a library"],
)  # fmt: skip
def test_a_hostile_pt2_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "model.pt2", PT2[name](tmp_path / "made"))
    for attempt in (contents.check, open_source):
        with pytest.raises(UsageError) as caught:
            attempt(spec_of(path))
        assert (caught.value.code, caught.value.exit_code) == ("EK-CONTENTS", 2)
        assert "model.pt2 is refused" in caught.value.message and "--trust" in str(caught.value.hint)
    assert not (tmp_path / "made").exists()


def test_a_pickle_that_is_no_archive_is_never_loaded(tmp_path: Path) -> None:
    """``torch.export.load`` falls back to unpickling."""
    path = written(tmp_path / "model.pt2", PT2["a pickle and no archive"](tmp_path / "made"))
    with pytest.raises(UsageError) as caught:
        open_source(spec_of(path))
    assert caught.value.code == "EK-SOURCE" and not (tmp_path / "made").exists()


def test_pickled_sample_inputs_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt2", PT2["pickled sample inputs"](tmp_path / "made"))
    assert contents.check(spec_of(path)) is None
    source = open_source(spec_of(path))
    assert source.predict({"x": np.ones((2, 4), np.float32)})["y"].shape == (2, 3)
    assert not (tmp_path / "made").exists()


def test_a_trusted_file_is_taken_after_saying_what_it_would_do(tmp_path: Path) -> None:
    """Here the pickled weight cannot be loaded in the end, after its code ran: as the user wished."""
    path = written(tmp_path / "model.pt2", PT2["pickled weight"](tmp_path / "made"))
    said = contents.check(spec_of(path, trust=True))
    assert said == "model.pt2 is trusted: it holds pickled weights: this runs code when they are read"
    with pytest.raises(UsageError):
        open_source(spec_of(path, trust=True))
    assert (tmp_path / "made").exists()


def test_a_plain_file_needs_no_trust(tmp_path: Path) -> None:
    path = written(tmp_path / "model.pt2", good_pt2())
    assert contents.check(spec_of(path)) is None and contents.check(spec_of(path, trust=True)) is None
    open_source(spec_of(path))


def with_weights(folder: Path, data: bytes, trust: bool = False) -> SourceSpec:
    (folder / "net.py").write_text(FACTORY)
    written(folder / "weights.pth", data)
    inputs = (TensorSpec("input", (1, 4), "float32"),)
    return SourceSpec("torch", str(folder / "net.py"), "make", str(folder / "weights.pth"), inputs, trust)


def test_weights_that_unpickle_are_refused(tmp_path: Path) -> None:
    spec = with_weights(tmp_path, weights(Evil(tmp_path / "made")))
    for attempt in (contents.check, open_source):
        with pytest.raises(UsageError, match=r"weights.pth is refused: it names 'posix.mkdir'") as caught:
            attempt(spec)
        assert caught.value.code == "EK-CONTENTS"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_of_either_form_are_loaded(tmp_path: Path, zipped: bool) -> None:
    torch.manual_seed(1)
    state = torch.nn.Linear(4, 3).state_dict()
    torch.save(state, tmp_path / "state", _use_new_zipfile_serialization=zipped)
    source = open_source(with_weights(tmp_path, (tmp_path / "state").read_bytes()))
    torch.testing.assert_close(source.module.weight, state["weight"])


def test_a_trusted_checkpoint_may_name_anything(tmp_path: Path) -> None:
    spec = with_weights(tmp_path, weights({"w": Path("x")}), trust=True)
    said = contents.check(spec)
    assert said is not None and "pathlib" in said
    with pytest.raises(UsageError, match="not a state_dict"):
        open_source(spec)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda mark: PT2["pickled weight"](mark), "pickled weights"),
        (lambda mark: pickle.dumps(Evil(mark)), "archive"),
    ],
)
def test_the_command_line_refuses_before_it_works(tmp_path: Path, make: Callable[[Path], bytes], word: str) -> None:
    path = written(tmp_path / "model.pt2", make(tmp_path / "made"))
    command = [sys.executable, "-m", "edgekit.cli.main", "build", str(path), "--target", "desktop-x86_64"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and word in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "made").exists()
    assert len([line for line in done.stderr.splitlines() if line.startswith("error")]) == 1


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.npy", "model.onnx"])
@pytest.mark.parametrize("data", [b"", b"hello, this is none of it", b"\x93NUMPY\x01\x00"])
def test_weights_of_no_form_are_called_neither(tmp_path: Path, name: str, data: bytes) -> None:
    """Not a damaged pickle; and the hint is of weights, whatever else has files of that name."""
    spec = with_weights(tmp_path, b"PK")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as caught:
        contents.check(replace(spec, weights=str(tmp_path / name)))
    said = f"{name} cannot be loaded: it is neither a .safetensors file nor what torch.save writes"
    assert (caught.value.code, caught.value.message) == ("EK-CHECKPOINT", said)
    assert caught.value.hint == "save them from this very model"
