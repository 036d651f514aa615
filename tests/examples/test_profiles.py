"""The examples that measure, run as their first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.bundles import only

from edgekit.profiling.files import read_profile

EXAMPLES = Path(__file__).parents[2] / "examples"


def output(example: str, *arguments: Path) -> list[str]:
    command = [sys.executable, str(EXAMPLES / example), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_on_a_device(small_bundle: Path) -> None:
    first, *marks = output("profile_on_device.py", small_bundle)
    assert first.startswith("fp32.tflite on litert, ") and first.endswith(" ms")
    assert all(mark.startswith(("degraded: ", "throttled: ")) for mark in marks)


def test_on_a_host(small_bundle: Path, tmp_path: Path) -> None:
    bundle = only(small_bundle, ("fp32.tflite", "fp32.pte"), tmp_path / "small.edgekit")
    lines = output("profile_on_host.py", tmp_path / "profile.json", bundle)
    assert [line.partition(":")[0] for line in lines] == ["fp32.tflite on litert", "fp32.pte on executorch"]
    assert lines[1].endswith(" against litert")
    assert len(read_profile(tmp_path / "profile.json").cells) == 2
