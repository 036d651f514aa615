"""Exports side by side against the same exports one after the other, interleaved in one run.

Run with ``pytest -s -n 0 tests/benchmarks/test_parallel_exports.py``; prints seconds and the ratio of medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support.projects import TOML, write_project

RECIPES, FORMATS, ROUNDS = ("fp32", "fp16", "int8"), ("tflite", "pte"), 3


def seconds(project: Path, *arguments: str) -> float:
    """One build of everything from an empty cache, but for the float reference, which both ways share."""
    began = time.monotonic()
    command = [sys.executable, "-m", "edgekit.cli.main", "build", str(project), "-t", "rpi5", "-q", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def test_exports_side_by_side(tmp_path: Path) -> None:
    project = write_project(tmp_path / "small", TOML)
    side_by_side, in_turn, one_command_each = [], [], []
    everything = [*(f"-r{name}" for name in RECIPES), *(f"-f{name}" for name in FORMATS)]
    for turn in range(ROUNDS):
        os.environ["EDGEKIT_CACHE"] = str(tmp_path / f"a{turn}")
        side_by_side.append(seconds(project, *everything))
        os.environ["EDGEKIT_CACHE"] = str(tmp_path / f"b{turn}")
        in_turn.append(seconds(project, *everything, "--jobs", "1"))
        os.environ["EDGEKIT_CACHE"] = str(tmp_path / f"c{turn}")
        each = [seconds(project, f"-r{recipe}", f"-f{format}") for format in FORMATS for recipe in RECIPES]
        one_command_each.append(sum(each))
    base = statistics.median(side_by_side)
    for name, times in (("side by side", side_by_side), ("--jobs 1", in_turn), ("six commands", one_command_each)):
        middle = statistics.median(times)
        print(
            f"{name:<14}{middle:6.1f} s  side by side takes {base / middle:.2f} of it  {[round(t, 1) for t in times]}"
        )
