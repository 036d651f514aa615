"""Digests of folders: what counts, and that nothing that lies there stops or holds them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.pipeline.work import digests
from edgekit.pipeline.work.digests import path_digest, tree_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    (folder / "below").mkdir()
    (folder / "below" / "data").write_text("data")
    return folder


def test_a_tree_is_known_by_names_and_contents(folder: Path) -> None:
    before = tree_digest([folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("compiled")
    (folder / ".hidden").write_text("hidden")
    (folder / "model.edgekit").write_text("a bundle")
    assert tree_digest([folder]) == before
    (folder / "a.py").write_text("2")
    changed = tree_digest([folder])
    (folder / "a.py").rename(folder / "b.py")
    renamed = tree_digest([folder])
    (folder / "below").rename(folder / "under")
    assert len({before, changed, renamed, tree_digest([folder])}) == 4


def dangling(folder: Path) -> None:
    (folder / "net.py").symlink_to("nowhere")


def lock_of_emacs(folder: Path) -> None:
    (folder / "below" / ".#net.py").symlink_to("somebody@host.1234:1")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")


def end(folder: Path) -> None:
    place, here = socket.socket(socket.AF_UNIX), os.getcwd()
    os.chdir(folder)  # the name of a socket is at most 107 characters long
    place.bind("socket")
    os.chdir(here)


def bytes_for_a_name(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff\n.py")).write_text("x")


def loop(folder: Path) -> None:
    (folder / "below" / "up").symlink_to("..")


def itself(folder: Path) -> None:
    (folder / "itself").symlink_to("itself")


def gone_folder(folder: Path) -> None:
    (folder / "data").symlink_to("/nowhere/at/all")


def closed(folder: Path) -> None:
    """To all but root."""
    for name, mode in (("closed", 0o000), ("listed", 0o400)):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "link").symlink_to("deep")
        (folder / name / "file").write_text("x")
        (folder / name).chmod(mode)


@pytest.mark.parametrize(
    "put", [dangling, lock_of_emacs, pipe, end, bytes_for_a_name, loop, itself, gone_folder, closed]
)
def test_whatever_lies_there_is_passed_by(folder: Path, put: Callable[[Path], None]) -> None:
    before = tree_digest([folder])
    put(folder)
    found = tree_digest([folder])
    assert found == tree_digest([folder])
    assert (found == before) == (put in (lock_of_emacs, loop))  # hidden; or nothing new
    assert tree_digest(folder.iterdir()) == tree_digest(folder.iterdir())


def test_what_may_not_be_read_is_passed_by(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, who may read everything: this says what a system says to others."""
    before = tree_digest([folder])
    stock = digests.file_sha256

    def refuse(path: Path) -> str:
        if path.name == "data":
            raise PermissionError(13, "Permission denied", str(path))
        return stock(path)

    monkeypatch.setattr(digests, "file_sha256", refuse)
    assert path_digest(folder / "below" / "data") == "not read: Permission denied"
    assert tree_digest([folder]) != before


def test_links_to_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (folder / "below" / "set").symlink_to(tmp_path / "outside")
    before = tree_digest([folder])
    (tmp_path / "outside" / "deep" / "picture").write_text("x")
    assert tree_digest([folder]) != before
