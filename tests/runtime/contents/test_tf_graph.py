"""Graphs of TensorFlow 1 are read as data, with the variables beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tensorflow_facts import folder

from edgekit.runtime.contents import Malformed, Refused
from edgekit.runtime.contents.tf_graph import read, read_checkpoint, variables

pytestmark = pytest.mark.slow

DAMAGE = {
    "one byte": lambda data: data[:-1],
    "cut": lambda data: data[:100],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    shutil.copytree(folder() / "session", tmp_path / "session")
    return tmp_path / "session" / "model.ckpt.meta"


def test_honest_graphs_are_taken(checkpoint: Path) -> None:
    read((folder() / "frozen.pb").read_bytes()).check(["images"], ["probs"])
    read_checkpoint(checkpoint).check(["images"], ["logits"])
    assert [path.name.partition(".ckpt.")[2] for path in variables(checkpoint)] == ["index", "data-00000-of-00001"]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_graphs_are_refused(damage: Callable[[bytes], bytes], checkpoint: Path) -> None:
    with pytest.raises(Malformed):
        read(damage((folder() / "frozen.pb").read_bytes()))
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(Malformed):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_is_refused(damage: Callable[[bytes], bytes], checkpoint: Path) -> None:
    index = variables(checkpoint)[0]
    index.write_bytes(damage(index.read_bytes()))
    with pytest.raises(Malformed):
        read_checkpoint(checkpoint)


def test_variables_lie_beside_their_graph(checkpoint: Path, tmp_path: Path) -> None:
    index, data = variables(checkpoint)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(Malformed, match="outside of its file"):
        read_checkpoint(checkpoint)
    shutil.move(data, tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        read_checkpoint(checkpoint)
    index.unlink()
    data.unlink()
    with pytest.raises(Malformed, match=r"there is no model\.ckpt\.index beside it"):
        read_checkpoint(checkpoint)


def test_what_reads_files_or_trains_is_refused_where_an_output_needs_it(checkpoint: Path) -> None:
    graph = read((folder() / "reads.pb").read_bytes())
    graph.check(["x"], ["z"])
    with pytest.raises(Refused, match="'ReadFile'") as caught:
        graph.check(["x"], ["y"])
    assert caught.value.does == "reads files"
    with pytest.raises(Refused, match=r"ApplyAdam|Grad"):
        read_checkpoint(checkpoint).check(["images", "labels"], ["Adam"])
