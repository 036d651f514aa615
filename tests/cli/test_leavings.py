"""The folder that a command's temporary files lie in, and the processes below it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edgekit.cli.leavings import Leavings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_temporary_files_of_all_lie_in_one_folder_that_goes(place: Path) -> None:
    leavings = Leavings()
    (folder,) = place.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    with tempfile.NamedTemporaryFile(delete=False) as own:
        assert Path(own.name).parent == folder
    program = "import tempfile; print(tempfile.mkdtemp())"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    inner = Path(child.stdout.strip())
    assert inner.parent == folder
    (inner / "file").touch()
    leavings.clear(processes=False)
    assert list(place.iterdir()) == []
    leavings.clear(processes=False)


def test_what_an_error_names_is_kept(place: Path) -> None:
    leavings = Leavings()
    with tempfile.NamedTemporaryFile(suffix=".log", delete=False) as log:
        log.write(b"the story")
    kept = leavings.keep(log.name)
    leavings.clear(processes=False)
    assert Path(kept).read_bytes() == b"the story" and [str(path) for path in place.iterdir()] == [kept]
    assert leavings.keep("/elsewhere/x.log") == "/elsewhere/x.log"


def test_every_process_below_goes_but_those_of_others(place: Path) -> None:
    program = """
import subprocess, sys
from edgekit.cli.leavings import Leavings
leavings = Leavings()
child = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True)
print(child.stdout.readline().decode(), flush=True)
leavings.clear()
print(child.wait(10), flush=True)
"""
    other = subprocess.Popen(["sleep", "1000"])
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        grandchild, ended = done.stdout.split()
        assert ended == "-9"
        until = time.monotonic() + 5
        while _runs(int(grandchild)) and time.monotonic() < until:
            time.sleep(0.02)
        assert not _runs(int(grandchild)) and other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_where_no_folder_can_be_made_files_lie_where_they_would(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(place / "none"))
    monkeypatch.setattr("edgekit.cli.leavings._USUAL", ())
    leavings = Leavings()
    assert os.environ["TMPDIR"] == str(place / "none")
    assert leavings.keep(str(place / "x.log")) == str(place / "x.log")
    leavings.clear(processes=False)
    assert list(place.iterdir()) == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
