"""SavedModels are read as data: operators that reach for files or Python are refused by name, honest models taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.saved_models import HONEST, HOSTILE

from edgekit.runtime.contents import Malformed, Refused
from edgekit.runtime.contents.saved_model import check_folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved-models") / "made"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["KERAS_BACKEND"] = "tensorflow"
    command = [sys.executable, "-m", "support.saved_models", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", HONEST)
def test_honest_models_are_taken(models: Path, name: str) -> None:
    found = check_folder(models / name)
    assert "serving_default" in found.signatures and len(found.operators) > 10


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_are_refused_by_name(models: Path, name: str) -> None:
    """Each of them did it when TensorFlow ran it; when one no longer does, less has to be refused."""
    assert list((models / "marks").glob(f"{name}*"))
    with pytest.raises(Refused) as caught:
        check_folder(models / name)
    assert HOSTILE[name] in str(caught.value) and caught.value.does


def copied(models: Path, folder: Path, name: str = "keras") -> Path:
    return Path(shutil.copytree(models / name, folder / name))


def test_other_forms_of_the_file_are_refused(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    (folder / "saved_model.cpb").write_bytes(b"")
    with pytest.raises(Refused, match=r"holds saved_model\.cpb"):
        check_folder(folder)


def test_links_are_refused(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    data = next((folder / "variables").glob("*.data-*"))
    shutil.move(data, tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="link"):
        check_folder(folder)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:100], lambda data: b"", lambda data: bytes(len(data))],
    ids=["one byte", "cut", "empty", "zeros"],
)
@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index"])
def test_damaged_files_are_refused(models: Path, tmp_path: Path, file: str, damage: Callable[[bytes], bytes]) -> None:
    folder = copied(models, tmp_path)
    path = folder / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Malformed):
        check_folder(folder)


def test_variables_are_inside_of_their_file(models: Path, tmp_path: Path) -> None:
    folder = copied(models, tmp_path)
    data = next((folder / "variables").glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(Malformed, match="outside of its file"):
        check_folder(folder)
