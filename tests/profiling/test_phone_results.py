"""What phones send is on disk before they are told so, whatever becomes of the disk."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from profiling.test_growing import files_of_at_most
from support.posted import IPHONE, SETTINGS, document

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import EdgekitError, UsageError
from edgekit.profiling.files import read_profile
from edgekit.profiling.phone_results import PhoneResults
from edgekit.runtime.profiler.profile import Profile

Results = Callable[..., PhoneResults]


@pytest.fixture
def results(small_bundle: Path) -> Results:
    def make(*outputs: Path, **options: Any) -> PhoneResults:
        with Bundle.open(small_bundle) as bundle:
            return PhoneResults(bundle, SETTINGS, outputs, **options)

    return make


@pytest.fixture
def posted(small_bundle: Path) -> Callable[..., dict[str, Any]]:
    def make(number: int, **changes: Any) -> dict[str, Any]:
        return document(small_bundle, run=f"{number:016x}", **changes)

    return make


def test_each_is_on_disk_when_it_was_taken(results: Results, posted: Any, tmp_path: Path) -> None:
    heard: list[str] = []
    kept = results(tmp_path / "p.json", words=["--webgpu"], listener=lambda record, cells: heard.append(record.name))
    for number in range(3):
        kept.receive(posted(number, browser=IPHONE) if number == 2 else posted(number))
        profile = read_profile(tmp_path / "p.json")
        assert profile == kept.profile and len(profile.devices) == len(heard) == number + 1
    assert heard == ["Chrome 128 on Pixel 8", "Chrome 128 on Pixel 8 (2)", "Safari 18 on iPhone"]
    assert profile.command[-4:] == ("--webgpu", "--quick", "--seed", "7")


def test_a_run_that_is_posted_again_counts_once(results: Results, posted: Any, tmp_path: Path) -> None:
    kept = results(tmp_path / "p.json")
    kept.receive(posted(1))
    before = (tmp_path / "p.json").stat().st_mtime_ns
    kept.receive(posted(1))
    assert len(kept.profile.devices) == 1 and (tmp_path / "p.json").stat().st_mtime_ns == before


def test_what_could_not_be_written_is_written_when_it_is_posted_again(
    results: Results, posted: Any, tmp_path: Path
) -> None:
    heard: list[str] = []
    kept = results(tmp_path / "p.json", listener=lambda record, cells: heard.append(record.name))
    with files_of_at_most(1000):
        for number in (1, 2, 1):
            with pytest.raises(EdgekitError) as raised:
                kept.receive(posted(number))
            assert raised.value.code == "EK-WRITE" and not isinstance(raised.value, UsageError)
    assert kept.unwritten == 2 and heard == [] and not (tmp_path / "p.json").exists()
    kept.receive(posted(1))
    assert kept.unwritten == 0 and len(heard) == 2 and len(read_profile(tmp_path / "p.json").devices) == 2


def test_the_next_one_or_the_end_writes_it_too(results: Results, posted: Any, tmp_path: Path) -> None:
    for number, come in enumerate(("next", "end")):
        path = tmp_path / f"{number}.json"
        kept = results(path)
        with files_of_at_most(1000), pytest.raises(EdgekitError):
            kept.receive(posted(1))
        if come == "next":
            kept.receive(posted(2))
        else:
            kept.close()
        assert read_profile(path) == kept.profile


def test_a_result_that_does_not_fit_is_not_kept(results: Results, posted: Any, tmp_path: Path) -> None:
    kept = results(tmp_path / "p.json")
    for changes in ({"bundle_sha256": "0" * 64}, {"run": "x"}, {"run": 7}, {"cells": "none"}, {"started": "today"}):
        with pytest.raises(UsageError):
            kept.receive({**posted(1), **changes})
    assert list(tmp_path.iterdir()) == [] and kept.profile.devices == ()


def test_what_is_rendered_is_rendered_once(results: Results, posted: Any, tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("p.csv", "p.json", "p.md")]
    kept = results(*outputs)
    for number in range(3):
        kept.receive(posted(number))
        assert [path.name for path in tmp_path.iterdir()] == ["p.json"]
    kept.close()
    kept.render()
    assert outputs[0].read_text().count("\n") == 4 and "Pixel 8 (3)" in outputs[2].read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.json", "p.md"]


def test_without_a_profile_among_the_outputs_one_is_kept_until_they_are_made(
    results: Results, posted: Any, tmp_path: Path
) -> None:
    kept = results(tmp_path / "p.csv", tmp_path / "p.md")
    kept.receive(posted(1))
    assert kept.kept_in == (tmp_path / "p.csv.json",)
    assert read_profile(tmp_path / "p.csv.json") == kept.profile
    kept.render()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.md"]


def test_a_profile_that_stands_in_for_what_could_not_be_made_stays_and_says_how(
    results: Results, posted: Any, tmp_path: Path
) -> None:
    (tmp_path / "it's here").mkdir()
    output = tmp_path / "it's here" / "p.csv"
    kept = results(output)
    kept.receive(posted(1))
    output.mkdir()
    with pytest.raises(EdgekitError) as raised:
        kept.render()
    assert raised.value.hint is not None and read_profile(kept.kept_in[0]) == kept.profile
    output.rmdir()
    with pytest.raises(UsageError, match=r"not in .* yet") as refused:
        results(output)
    assert refused.value.hint is not None and raised.value.hint in refused.value.hint
    assert run([*shlex.split(raised.value.hint)[1:], "--quiet"]) == 0 and output.is_file()


def test_one_output_that_fails_does_not_hold_back_the_others(results: Results, posted: Any, tmp_path: Path) -> None:
    kept = results(tmp_path / "a.csv", tmp_path / "b.md", tmp_path / "p.json")
    kept.receive(posted(1))
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(EdgekitError, match=r"a\.csv") as raised:
        kept.render()
    assert (tmp_path / "b.md").is_file() and raised.value.hint == kept.way_to_render()


def test_without_outputs_there_is_nothing_on_disk(results: Results, posted: Any, tmp_path: Path) -> None:
    kept = results()
    kept.receive(posted(1))
    kept.close()
    kept.render()
    assert isinstance(kept.profile, Profile) and kept.kept_in == () and kept.unwritten == 0
    assert kept.way_to_render() == ""


@pytest.mark.parametrize(
    "there", [b"", b'{"kind": "edgekit profile", "schema_version": 99}', b'{"kind": "edgekit pro', b"\0\xff" * 100]
)
def test_what_was_in_the_files_place_stays_until_there_is_a_result(
    results: Results, posted: Any, tmp_path: Path, there: bytes
) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(there)
    kept = results(path)
    assert path.read_bytes() == there
    kept.receive(posted(1))
    assert read_profile(path) == kept.profile


def test_places_where_no_file_can_be_kept_are_refused_at_once(results: Results, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "null.json").symlink_to("/dev/null")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "away.json").symlink_to(tmp_path / "none" / "real.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").touch()
    for name, words in {
        "pipe.json": "no regular file",
        "null.json": "no regular file",
        "loop.json": "symbolic links",
        "away.json": "No such file",
        "folder.json": "is a folder",
        "none/p.json": "there is no folder",
        "file/p.json": "there is no folder",
        f"{'n' * 300}.json": "name too long",
        f"{'n' * 254}.md": "name too long",
    }.items():
        with pytest.raises(EdgekitError, match=f"(?i){words}") as raised:
            results(tmp_path / name)
        assert raised.value.hint
    with pytest.raises(UsageError, match="there is no kind of file"):
        results(Path("/dev/stdout"))
    assert (tmp_path / "null.json").is_symlink()


_OF_NOBODY = """
import os, sys
from pathlib import Path
from edgekit.errors import EdgekitError
from edgekit.profiling.outputs import check
if os.getuid() == 0:  # who may write everything
    os.setuid(65534)
for path in map(Path, sys.argv[1:]):
    try:
        check([path], operators=False)
    except EdgekitError as error:
        print(error.code, error.message)
"""


def test_a_file_that_may_not_be_written_is_refused_at_once() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are for one user
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "p.json").touch(mode=0o444)
        (folder / "locked").mkdir(mode=0o555)
        paths = [folder / "p.json", folder / "locked" / "p.json", folder / "free.json"]
        done = subprocess.run([sys.executable, "-c", _OF_NOBODY, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"EK-WRITE cannot write {path}: Permission denied" for path in paths[:2]]


def test_the_profile_is_json_to_anybody(results: Results, posted: Any, tmp_path: Path) -> None:
    kept = results(tmp_path / "p.json")
    kept.receive(posted(1))
    assert len(json.loads((tmp_path / "p.json").read_text())["devices"]) == 1
