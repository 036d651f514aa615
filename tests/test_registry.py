"""Where packages of others are looked for."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.registry import Registry

WORDS = Registry("word", {"own": 1})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def register(folder: Path, suffix: str = ".dist-info") -> None:
    package = folder / f"more_words-1.0{suffix}"
    package.mkdir()
    (package / ("METADATA" if suffix == ".dist-info" else "PKG-INFO")).write_text(
        "Metadata-Version: 2.1\nName: more-words\nVersion: 1.0\n"
    )
    (package / "entry_points.txt").write_text("[edgekit.words]\nother = more_words:OTHER\n")
    (folder / "more_words.py").write_text("OTHER = 'one of another package'\n")


@pytest.mark.parametrize("suffix", [".dist-info", ".egg-info"])
def test_a_package_on_the_path_adds_what_it_registers(path: Path, suffix: str) -> None:
    register(path, suffix)
    assert WORDS.names() == ("own", "other") and "other" in WORDS
    assert list(WORDS) == [1, "one of another package"]


def test_a_package_in_an_archive_does_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(path)
    with zipfile.ZipFile(path / "more.zip", "w") as archive:
        for file in path.rglob("*"):
            if file.is_file() and file.suffix != ".zip":
                archive.write(file, file.relative_to(path))
    monkeypatch.setattr(sys, "path", [str(path / "more.zip"), *sys.path[1:]])
    assert "other" in WORDS.names()


def test_without_one_nothing_is_read_of_any_package(path: Path) -> None:
    with pytest.raises(UsageError, match="unknown word 'other'"):
        WORDS["other"]
    program = "from edgekit.cli.main import run; run(['build', '--help']); print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys; {program}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
