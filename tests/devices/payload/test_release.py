"""A release as files: the same from the same, and nothing in it that has to be where it was made."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.bundle import Bundle, write_bundle
from edgekit.devices.payload.part import Part
from edgekit.devices.payload.release import Release, app_name, make_release

NUMPY = Part("numpy-2.4.6", "1" * 64, Path("numpy.tar.gz"), 1, 2, ("",))
CORE = Part("executorch-1.5.1", "2" * 64, Path("core.tar.gz"), 1, 2, (), native_path="")
RUNNER = Part("edgekit-runner-1.5.1", "3" * 64, Path("runner.tar.gz"), 1, 2, (), runner="run.sh")


def made(bundle: Path, parts: tuple[Part, ...] = (NUMPY, CORE), python: str | None = "/usr/bin/python3.11") -> Release:
    with Bundle.open(bundle) as opened:
        return make_release(opened, parts, python)


def files(release: Release) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(release.archive())) as archive:
        return {
            name: archive.extractfile(name).read() for name in archive.getnames() if archive.getmember(name).isfile()
        }  # type: ignore[union-attr]


def test_the_same_gives_the_same_and_anything_else_another(small_bundle: Path, tmp_path: Path) -> None:
    release = made(small_bundle)
    assert made(small_bundle) == release and made(small_bundle).archive() == release.archive()
    with Bundle.open(small_bundle) as opened:
        contents = {name: opened.read(name) for name in opened.manifest.files}
        write_bundle(replace(opened.manifest, labels=("n", "e", "s", "w")), contents, tmp_path / "other.edgekit")
    others = {
        made(tmp_path / "other.edgekit").id,
        made(small_bundle, (NUMPY, replace(CORE, digest="4" * 64))).id,
        made(small_bundle, python="/usr/bin/python3.13").id,
        made(small_bundle, (RUNNER,), None).id,
    }
    assert len(others) == 4 and release.id not in others


def test_a_bundle_in_a_folder_is_deployed_as_one_file(small_bundle: Path, tmp_path: Path) -> None:
    folder = unpacked(files(made(small_bundle, (RUNNER,), None)), "small.edgekit/", tmp_path / "small.edgekit")
    assert made(folder) == made(small_bundle)


def test_what_is_in_it(small_bundle: Path) -> None:
    contents = files(made(small_bundle))
    assert set(contents) == {"small.edgekit", "sample.npz", "parts", "release.json", "bin/python", "bin/edgekit"}
    assert contents["small.edgekit"] == small_bundle.read_bytes()
    assert contents["parts"].decode().split() == [NUMPY.digest, CORE.digest]
    described = json.loads(contents["release.json"])
    assert described["python"] == "/usr/bin/python3.11" and described["parts"][0]["name"] == "numpy-2.4.6"
    sample = np.load(io.BytesIO(contents["sample.npz"]))
    assert {name: sample[name].shape for name in sample.files} == {"image": (1, 1, 12, 12)}


def test_without_python_the_model_files_lie_open(small_bundle: Path, tmp_path: Path) -> None:
    contents = files(made(small_bundle, (RUNNER,), None))
    assert "bin/edgekit-runner" in contents and "bin/python" not in contents
    with Bundle.open(unpacked(contents, "small.edgekit/", tmp_path / "small.edgekit")) as bundle:
        bundle.verify()


@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("digits", "digits"),
        ("My Model (v2)", "My-Model-v2-"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "model"),
        ("", "model"),
        ("-rf", "rf"),
        ("a'b\nc", "a-b-c"),
        ("数字", "model"),
    ],
)
def test_names_fit_for_a_path(name: str, app: str) -> None:
    assert app_name(name) == app


def unpacked(contents: dict[str, bytes], prefix: str, folder: Path) -> Path:
    for name, data in contents.items():
        if name.startswith(prefix):
            path = folder / name.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder
