"""What edgekit keeps: nobody else's, closed to others, and used only as it was left."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import private
from edgekit.cli.main import run
from edgekit.errors import EdgekitError, UsageError
from edgekit.private import check_private, home, is_sealed, private_folder, seal, tree_digest, unseal


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A sealed folder with a file, a program, a folder in it and links."""
    folder = tmp_path / "kept"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "a.so").write_bytes(b"library")
    (folder / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "python").symlink_to("/usr/bin/python3")
    (folder / "lib64").symlink_to("lib")
    seal(folder, {"a": "1"})
    return folder


def bits(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_closed_to_others_with_those_above_that_were_missing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    old = os.umask(0)
    try:
        made = private_folder(tmp_path / "home" / "wheels" / "x")
    finally:
        os.umask(old)
    assert [bits(folder) for folder in (made, made.parent, made.parents[1], tmp_path)] == [0o700, 0o700, 0o700, 0o755]


def test_an_older_one_is_closed_too(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    assert bits(private_folder(tmp_path / "home")) == 0o700


def test_another_users_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    for use in (lambda: private_folder(tmp_path), lambda: check_private(tmp_path), home):
        with pytest.raises(UsageError, match="belongs to another user") as caught:
            use()
        assert caught.value.code == "EK-FOREIGN" and "$EDGEKIT_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o702])
def test_one_that_others_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv("EDGEKIT_HOME", str(folder))
    for use in (lambda: private_folder(folder), home):
        with pytest.raises(UsageError, match=f"other users can write to {folder}") as caught:
            use()
        assert caught.value.code == "EK-FOREIGN" and str(caught.value.hint).startswith(f"chmod go-w {folder} ")


def test_where_none_can_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (private_folder, check_private):
        with pytest.raises(EdgekitError, match=r"cannot be (made|reached): Not a directory") as caught:
            use(tmp_path / "file" / "home")
        assert caught.value.code == "EK-WRITE" and "$EDGEKIT_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("verb", [["--setup", "tflite-runtime"], ["--setup", "deploy:rpi4"], []])
def test_every_verb_says_it_in_one_line(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("EDGEKIT_HOME", str(folder))
    assert run(["doctor", *verb]) == 2
    said = capsys.readouterr().err.splitlines()
    assert f"other users can write to {folder}" in said[0] and "[EK-FOREIGN]" in said[0] and len(said) == 2


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda kept: (kept / "lib" / "a.so").write_bytes(b"librarx"),
    "a byte more": lambda kept: (kept / "lib" / "a.so").write_bytes(b"library "),
    "one file more": lambda kept: (kept / "lib" / "b.pth").write_bytes(b"import os"),
    "an empty file more": lambda kept: (kept / "lib" / "b").touch(),
    "one file less": lambda kept: (kept / "run").unlink(),
    "another name": lambda kept: (kept / "run").rename(kept / "runs"),
    "a link elsewhere": lambda kept: ((kept / "python").unlink(), (kept / "python").symlink_to("/tmp/python")),
    "a link to a folder elsewhere": lambda kept: ((kept / "lib64").unlink(), (kept / "lib64").symlink_to("/tmp")),
    "a link for a file": lambda kept: ((kept / "run").rename(kept.parent / "r"), (kept / "run").symlink_to("../r")),
    "a folder for a file": lambda kept: ((kept / "run").unlink(), (kept / "run").mkdir()),
    "a pipe": lambda kept: os.mkfifo(kept / "pipe"),
    "a name that is no text": lambda kept: Path(os.fsdecode(bytes(kept) + b"/\xff")).touch(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_refused_in_one_line(kept: Path, change: Callable[[Path], object]) -> None:
    change(kept)
    with pytest.raises(EdgekitError, match=f"{kept} is not as edgekit left it") as caught:
        is_sealed(kept, {"a": "1"})
    assert caught.value.code == "EK-FOREIGN" and "\n" not in caught.value.message
    assert str(caught.value.hint).startswith(f"rm -r {kept} ")


def test_what_was_not_changed_is_known_wherever_it_was_made(kept: Path, tmp_path: Path) -> None:
    assert is_sealed(kept, {"a": "1"})
    moved = tmp_path / "moved"
    seal(kept, destination=moved)
    assert not is_sealed(moved)
    kept.rename(moved)
    assert is_sealed(moved) and not is_sealed(kept, {"a": "1"})
    seal(moved / "run")
    assert is_sealed(moved / "run")


def test_what_is_not_sealed_or_of_something_else_is_to_be_made_anew(kept: Path) -> None:
    assert not is_sealed(kept) and not is_sealed(kept, {"a": "2"})
    unseal(kept)
    assert not is_sealed(kept, {"a": "1"})
    for rubbish in (b"", b"[]", b"{}", b"\xff"):
        kept.with_name("kept.seal").write_bytes(rubbish)
        assert not is_sealed(kept, {"a": "1"})


def test_a_process_hashes_a_folder_once_for_each_seal(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(private, "tree_digest", lambda path: (hashed.append(path), tree_digest(path))[1])
    assert all(is_sealed(kept, {"a": "1"}) for _ in range(3))
    assert hashed == [kept]
    seal(kept, {"a": "1"})
    assert is_sealed(kept, {"a": "1"}) and hashed == [kept] * 3


def test_names_cannot_be_shifted_into_contents(tmp_path: Path) -> None:
    """Two folders with the same names and bytes at other places have other hashes."""
    digests = set()
    for number, names in enumerate((("a", "b"), ("b", "a"), ("ab", ""), ("a\nb", "c"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        for text, name in zip(("1", "2"), names, strict=True):
            if name:
                (folder / name).write_text(text)
        digests.add(tree_digest(folder))
    assert len(digests) == 4
