"""A profile that grows: what is on disk, at every moment and after every failure."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support import profiles

from edgekit.errors import EdgekitError
from edgekit.profiling.files import read_profile, write_profile
from edgekit.profiling.growing import GrowingProfile
from edgekit.runtime.profiler.profile import DeviceRecord, Profile
from edgekit.runtime.profiler.records import Cell

PROFILE = profiles.profile(mode="quick")
(RECORD, *_) = PROFILE.devices
CELLS = tuple(cell for cell in PROFILE.cells if cell.device == RECORD.name)


def grown(*files: Path, count: int = 0) -> GrowingProfile:
    growing = GrowingProfile(PROFILE, files)
    for _ in range(count):
        growing.add(RECORD, CELLS)
    return growing


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_has_the_bytes_of_a_profile_that_is_written_at_once(tmp_path: Path) -> None:
    growing = grown(tmp_path / "grown.json")
    growing.write()
    assert list(tmp_path.iterdir()) == [], "there is no device yet"
    odd = replace(RECORD, failure='\n  "cells": []\n  "devices": []', name="é 😀 \\u2028")
    for record in (RECORD, RECORD, odd):
        growing.add(record, CELLS)
        growing.write()
        write_profile(growing.profile, tmp_path / "whole.json")
        assert (tmp_path / "grown.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    names = [record.name for record in read_profile(tmp_path / "grown.json").devices]
    assert names == [RECORD.name, f"{RECORD.name} (2)", odd.name]
    assert {cell.device for cell in growing.profile.cells} == set(names)


def test_a_profile_without_rows_is_one(tmp_path: Path) -> None:
    growing = grown(tmp_path / "p.json")
    growing.add(RECORD, ())
    growing.write()
    assert read_profile(tmp_path / "p.json") == growing.profile


def test_a_device_more_costs_no_work_on_those_before(tmp_path: Path) -> None:
    growing = grown(tmp_path / "p.json")

    def cpu_s(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    adding = [cpu_s(lambda: growing.add(RECORD, CELLS)) for _ in range(60)]
    assert min(adding[-20:]) < 2 * min(adding[:20])
    copying = cpu_s(growing.write)
    assert copying < cpu_s(lambda: write_profile(growing.profile, tmp_path / "whole.json")) / 5


def test_what_cannot_be_written_waits_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    growing = grown(path, count=1)
    growing.write()
    before = path.read_bytes()
    growing.add(RECORD, CELLS)
    with files_of_at_most(len(before) // 2), pytest.raises(EdgekitError) as raised:
        growing.write()
    assert raised.value.code == "EK-WRITE" and str(path) in raised.value.message
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["p.json"]
    assert growing.unwritten == 1
    growing.add(RECORD, CELLS)
    assert growing.unwritten == 2
    growing.write()
    assert growing.unwritten == 0 and read_profile(path) == growing.profile


def test_a_folder_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    """It may have been a disk, and its place is another."""
    folder = tmp_path / "disk"
    folder.mkdir()
    growing = grown(folder / "p.json", count=1)
    growing.write()
    (folder / "p.json").unlink()
    folder.rmdir()
    growing.add(RECORD, CELLS)
    with pytest.raises(EdgekitError, match="No such file or directory"):
        growing.write()
    folder.touch()
    with pytest.raises(EdgekitError, match="Not a directory"):
        growing.write()
    folder.unlink()
    folder.mkdir()
    growing.write()
    assert len(read_profile(folder / "p.json").devices) == 2


def test_a_file_that_somebody_removed_or_moved_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    growing = grown(path, count=1)
    growing.write()
    path.rename(tmp_path / "mine.json")
    growing.add(RECORD, CELLS)
    growing.write()
    assert len(read_profile(path).devices) == 2 and len(read_profile(tmp_path / "mine.json").devices) == 1


def test_one_of_two_files_that_fails_does_not_hold_back_the_other(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    first, second = tmp_path / "gone" / "p.json", tmp_path / "p.json"
    growing = grown(first, second, count=1)
    (tmp_path / "gone").rmdir()
    with pytest.raises(EdgekitError, match="gone"):
        growing.write()
    assert len(read_profile(second).devices) == 1 and growing.unwritten == 1
    (tmp_path / "gone").mkdir()
    stamp = second.stat().st_mtime_ns
    growing.write()
    assert read_profile(first) == read_profile(second) and second.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.json", tmp_path / "p.json"
    if there:
        target.write_text("{}")
    link.symlink_to(target)
    growing = grown(link, count=1)
    growing.write()
    assert link.is_symlink() and read_profile(target) == growing.profile
    assert [each.name for each in target.parent.iterdir()] == ["real.json"]


def test_a_name_as_long_as_the_system_takes_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 5) + ".json")
    growing = grown(path, count=1)
    growing.write()
    assert read_profile(path) == growing.profile


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    from threading import Thread

    path = tmp_path / "p.json"
    growing = grown(path, count=1)
    growing.write()
    done = False

    def read() -> None:
        while not done:
            counts.append(len(json.loads(path.read_bytes())["devices"]))

    counts: list[int] = []
    reader = Thread(target=read)
    reader.start()
    for _ in range(15):
        growing.add(RECORD, CELLS)
        growing.write()
    done = True
    reader.join()
    assert counts == sorted(counts) and counts[-1] <= 16


def test_what_it_gives_is_what_was_added() -> None:
    growing = grown()
    record, cells = growing.add(RECORD, CELLS)
    growing.write()
    assert isinstance(record, DeviceRecord) and all(isinstance(cell, Cell) for cell in cells)
    assert growing.profile == replace(PROFILE, devices=(record,), cells=cells) and isinstance(growing.profile, Profile)
    assert growing.unwritten == 0
