"""Where a build reads and writes is looked at before anything slow starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli.main import run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to build in, where nothing may start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("edgekit.pipeline.build.Pool", None)
    (tmp_path / "net.py").write_text("def make(): ...\n")
    np.save(tmp_path / "s.npy", np.ones((4, 2), np.float32))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["build", "-t", "rpi4", "-q", *arguments]) == 2
    error = capsys.readouterr().err
    assert "EK-UNEXPECTED" not in error and " hint: " in error and "log:" not in error
    return error.splitlines()[0].removeprefix("error: ")


def file(place: Path) -> None:
    (place / "out").write_text("a file")


def folder(place: Path) -> None:
    (place / "out" / "net-rpi4.edgekit").mkdir(parents=True)


def pipe(place: Path) -> None:
    (place / "out").mkdir()
    os.mkfifo(place / "out" / "net-rpi4.edgekit")


def below_a_pipe(place: Path) -> None:
    os.mkfifo(place / "out")


def loop(place: Path) -> None:
    (place / "out").symlink_to("out")


@pytest.mark.parametrize(
    ("out", "make", "word"),
    [
        ("out", loop, "out is a link that leads back to itself"),
        ("out/below", loop, "out is a link that leads back to itself"),
        ("out", file, "'out' is a file"),
        ("out/below", file, "it is no folder"),
        ("out", folder, "net-rpi4.edgekit is a folder"),
        ("out/x", below_a_pipe, "it is no folder"),
        ("out", pipe, "net-rpi4.edgekit is a pipe, socket or device"),
        ("o" * 300, lambda place: None, "File name too long"),
        ("new/" + "o" * 300, lambda place: None, "too long"),
    ],
)
def test_a_bundle_that_cannot_be_written_is_not_made(
    place: Path, capsys: pytest.CaptureFixture[str], out: str, make: Callable[[Path], None], word: str
) -> None:
    make(place)
    line = said(capsys, "net.py:make", "--calibration", "s.npy", "--out", out)
    assert word in line and ("[EK-WRITE]" in line or "[EK-ARGUMENT]" in line)


@pytest.mark.parametrize("name", ["pipe.py:make", "pipe.pt2", "pipe.keras", "pipe.pt", "pipe"])
def test_a_pipe_is_no_model(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    os.mkfifo(place / name.partition(":")[0])
    assert "is a pipe, socket or device [EK-MISSING-FILE]" in said(capsys, name)


@pytest.mark.parametrize(
    ("model", "samples"),
    [("net.py:make", "loop.npy"), ("loop.py:make", "s.npy"), ("loop.keras", "s.npy"), ("loop/net.py:make", "s.npy")],
)
def test_a_link_that_leads_back_to_itself_is_no_file(
    place: Path, capsys: pytest.CaptureFixture[str], model: str, samples: str
) -> None:
    for name in ("loop", "loop.npy", "loop.py", "loop.keras"):
        (place / name).symlink_to(name)
    line = said(capsys, model, "--calibration", samples)
    assert line.startswith("there is no loop") and line.endswith("[EK-MISSING-FILE]")


def test_a_pipe_in_a_project_is_no_code(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = '[project]\nname = "x"\n[model]\nframework = "torch"\nfactory = "net.py:make"\n[data]\nevaluation = "{}"\n'
    os.mkfifo(place / "data.py")
    (place / "edgekit.toml").write_text(toml.format("data.py:evaluation"))
    assert "data.py is a pipe, socket or device" in said(capsys, str(place))


@pytest.mark.parametrize("what", ["file", "folder", "cache"])
def test_a_name_that_is_no_text_is_said_so(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    odd = os.fsdecode(b"odd\xff")
    model = {"file": f"{odd}.py:make", "folder": f"{odd}/net.py:make", "cache": "net.py:make"}[what]
    if what == "cache":
        monkeypatch.setenv("EDGEKIT_CACHE", str(place / odd))
    else:
        path = place / model.partition(":")[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text("def make(): ...\n")
    line = said(capsys, model, "--calibration", "s.npy")
    assert r"odd\xff" in line and line.endswith("is not UTF-8 [EK-ARGUMENT]")


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_cache_that_others_write_to_is_refused(place: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    (place / "cache").mkdir()
    (place / "cache").chmod(mode)
    assert "other users can write to" in said(capsys, "net.py:make", "--calibration", "s.npy")


def test_a_cache_of_somebody_elses_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "cache").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(place).st_uid + 1)
    assert "belongs to another user" in said(capsys, "net.py:make", "--calibration", "s.npy")


def test_an_older_cache_is_closed(place: Path) -> None:
    from edgekit.pipeline.work.cache import Cache

    (place / "cache").mkdir()
    (place / "cache").chmod(0o755)
    assert Cache.default().root == place / "cache"
    assert (place / "cache").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["big.keras", "big.pt2", "big/variables/variables.data-00000-of-00001"])
def test_a_model_that_no_device_could_run_is_not_read(
    place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A sparse file costs its sender nothing."""
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / "big/saved_model.pb").parent.mkdir(exist_ok=True)
    (place / "big/saved_model.pb").touch()
    with (place / name).open("wb") as stream:
        stream.truncate(200 << 30)
    assert "has 200 GiB, which no device" in said(capsys, name.partition("/")[0])
