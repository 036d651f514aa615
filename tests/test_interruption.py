"""Ctrl-C and kill -9 at random moments of a build: nothing partial is seen, and a rerun completes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.projects import TOML, TRAINING, write_project

from edgekit.bundle import Bundle, differences

pytestmark = pytest.mark.slow

MOMENTS = 10
EPOCHS = 20  # long enough that many of the moments fall into training


def build(project: Path, cache: Path) -> subprocess.Popen[str]:
    # The command people type. `python -m` may end by the signal itself: when Ctrl-C comes during an exec() of text, as
    # dataclasses do on import, CPython takes note, and heeds the note over the exit code.
    return subprocess.Popen(
        [Path(sys.executable).with_name("edgekit"), "build", str(project), "--target", "rpi4"],
        env={**os.environ, "EDGEKIT_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def bundles(project: Path) -> list[Path]:
    """What a person looking into the folder sees."""
    return [path for path in (project / "build").glob("*") if not path.name.startswith(".")]


def test_a_build_stopped_ten_times_ends_as_one_never_stopped(tmp_path: Path) -> None:
    toml = TOML.replace("[metric]", TRAINING.replace("epochs = 3", f"epochs = {EPOCHS}") + "[metric]")
    toml = toml.replace('formats = ["tflite", "pte"]', 'formats = ["tflite"]')
    calm = write_project(tmp_path / "calm" / "small", toml)
    began = time.monotonic()
    process = build(calm, tmp_path / "calm-cache")
    _, said = process.communicate()
    assert process.returncode == 0, said
    whole = time.monotonic() - began

    stopped = write_project(tmp_path / "stopped" / "small", toml)
    moments = random.Random(20)
    statuses = []
    for attempt in range(MOMENTS):
        process = build(stopped, tmp_path / "cache")
        time.sleep(moments.uniform(0.2, whole / 4))
        sent = signal.SIGINT if attempt % 2 else signal.SIGKILL
        process.send_signal(sent)
        _, said = process.communicate()
        statuses.append((sent.name, process.returncode))
        for path in bundles(stopped):  # whatever is there is a whole bundle
            with Bundle.open(path) as bundle:
                bundle.verify()
            path.unlink()
        if sent == signal.SIGINT and process.returncode != 0:
            assert process.returncode == 130, said
            assert "[EK-INTERRUPTED]" in said.splitlines()[-2] and said.splitlines()[-1].startswith(" hint:"), said

    process = build(stopped, tmp_path / "cache")
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert sum(status != 0 for _, status in statuses) >= MOMENTS // 2, statuses
    (first,), (second,) = bundles(calm), bundles(stopped)
    with Bundle.open(first) as one, Bundle.open(second) as other:
        assert differences(one, other) == []
