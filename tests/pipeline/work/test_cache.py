"""The cache: entries appear whole or not at all, once, and only for what they were made from."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import EdgekitError
from edgekit.pipeline.work.cache import Cache
from edgekit.pipeline.work.versions import versions


def leave(text: str) -> Any:
    def make(directory: Path) -> Mapping[str, Any]:
        (directory / "file").write_text(text)
        return {"text": text}

    return make


def test_an_entry_is_made_once_for_one_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.stage("export", {"a": 1}, leave("first"))
    second = cache.stage("export", {"a": 1}, leave("second"))
    other = cache.stage("export", {"a": 2}, leave("other"))
    assert (first.cached, second.cached, other.cached) == (False, True, False)
    assert second.record == {"text": "first"} and Path(second.path("file")).read_text() == "first"
    assert first.digest == second.digest != other.digest


def test_fresh_ignores_what_is_there(tmp_path: Path) -> None:
    Cache(tmp_path).stage("export", {}, leave("old"))
    assert Cache(tmp_path, fresh=True).stage("export", {}, leave("new")).record == {"text": "new"}
    assert Cache(tmp_path).stage("export", {}, leave("newer")).record == {"text": "new"}


def test_what_fails_leaves_no_entry(tmp_path: Path) -> None:
    def fail(directory: Path) -> Mapping[str, Any]:
        (directory / "half").write_text("half")
        raise EdgekitError("EK-EXPORT", "no")

    with pytest.raises(EdgekitError, match="no"):
        Cache(tmp_path).stage("export", {}, fail)
    entry = Cache(tmp_path).stage("export", {}, leave("whole"))
    assert not entry.cached and not Path(entry.path("half")).exists()


def test_a_resumable_stage_finds_what_it_left(tmp_path: Path) -> None:
    def fail(directory: Path) -> Mapping[str, Any]:
        (directory / "checkpoint").write_text("epoch 3")
        raise EdgekitError("EK-INTERRUPTED", "stopped")

    with pytest.raises(EdgekitError, match="stopped"):
        Cache(tmp_path).stage("train", {}, fail, resumable=True)
    entry = Cache(tmp_path).stage("train", {}, leave("done"), resumable=True)
    assert Path(entry.path("checkpoint")).read_text() == "epoch 3"


def flip(file: Path) -> None:
    """One bit is another; size and times are as they were."""
    data, times = bytearray(file.read_bytes()), file.stat()
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a file is cut short": lambda entry: (entry / "file").write_text("go"),
    "a bit of a file": lambda entry: flip(entry / "file"),
    "a file is gone": lambda entry: (entry / "file").unlink(),
    "a file more": lambda entry: (entry / "more").write_text("x"),
    "a pipe more": lambda entry: os.mkfifo(entry / "more"),
    "a pipe instead": lambda entry: ((entry / "file").unlink(), os.mkfifo(entry / "file")),
    "a bit of the record": lambda entry: flip(entry / "record.json"),
    "no record": lambda entry: (entry / "record.json").unlink(),
    "an empty record": lambda entry: (entry / "record.json").write_bytes(b""),
    "a record that is a list": lambda entry: (entry / "record.json").write_bytes(b"[]"),
    "a record of other things": lambda entry: (entry / "record.json").write_bytes(b'{"record": 1, "digest": []}'),
    "a record that is no text": lambda entry: (entry / "record.json").write_bytes(b"\xff\xfe"),
    "a record far too deep": lambda entry: (entry / "record.json").write_bytes(b"[" * 100_000),
    "a file instead": lambda entry: (shutil.rmtree(entry), entry.write_text("x")),
    "a link to nothing": lambda entry: (shutil.rmtree(entry), entry.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_entry_is_made_again_and_that_is_said(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    said: list[str] = []
    entry = Cache(tmp_path).stage("export", {}, leave("good"))
    damage(entry.directory)
    again = Cache(tmp_path).stage("export", {}, leave("made again"), damaged=lambda: said.append("damaged"))
    assert not again.cached and Path(again.path("file")).read_text() == "made again" and said == ["damaged"]
    healed = Cache(tmp_path).stage("export", {}, leave("no more"), damaged=lambda: said.append("damaged"))
    assert healed.cached and healed.record == {"text": "made again"} and said == ["damaged"]


@pytest.mark.parametrize("contents", [b"", b"[", b"{}", b"[[1]]", b'[[["file", "x"]]]', b"\xff", b"[" * 100_000])
def test_a_damaged_index_costs_at_most_the_work(tmp_path: Path, contents: bytes) -> None:
    Cache(tmp_path).stage("export", {}, leave("good"))
    (index,) = (tmp_path / "reads").iterdir()
    index.write_bytes(contents)
    assert Cache(tmp_path).stage("export", {}, leave("good")).record == {"text": "good"}
    assert Cache(tmp_path).stage("export", {}, leave("other")).record == {"text": "good"}


def test_two_at_once_make_one_entry(tmp_path: Path) -> None:
    made = []

    def slow(directory: Path) -> Mapping[str, Any]:
        made.append(directory)
        time.sleep(0.1)
        return {}

    threads = [threading.Thread(target=Cache(tmp_path).stage, args=("export", {}, slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_killed_maker_neither_leaves_an_entry_nor_blocks_the_next(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from edgekit.pipeline.work.cache import Cache
def make(directory):
    (directory / "half").write_text("half")
    print("started", flush=True)
    time.sleep(60)
Cache(Path({str(tmp_path)!r})).stage("export", {{}}, make)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    entry = Cache(tmp_path).stage("export", {}, leave("whole"))
    assert not entry.cached and sorted(os.listdir(entry.directory)) == ["file", "record.json"]


def test_the_oldest_entries_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    entries = [cache.stage("export", {"n": n}, leave("x" * 1000)) for n in range(4)]
    for age, entry in enumerate(entries):
        os.utime(entry.directory, (age, age))
    monkeypatch.setattr("edgekit.pipeline.work.cache._MAX_BYTES", 5000)
    cache.prune()
    assert [entry.directory.exists() for entry in entries] == [False, False, True, True]


def test_versions_of_what_is_not_installed_are_none() -> None:
    found = versions(["numpy", "no-such-package"])
    assert found["numpy"] and found["no-such-package"] is None
