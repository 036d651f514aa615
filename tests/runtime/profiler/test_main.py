"""``python -m edgekit.runtime.profiler``: a session for a host, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support import bad_engines
from support.waiting import is_alive, text_of, wait_until

from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import MEASURED, Cell
from edgekit.runtime.profiler.settings import Request, Settings
from edgekit.schema import conform

_LIMIT_S = 60


@pytest.fixture
def start(small_bundle: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a session on one variant."""
    bad_engines.install(tmp_path)

    def start(*engines: str, settings: Settings | None = None) -> subprocess.Popen[str]:
        wanted = settings or Settings("quick", seed=0, repeats=1, seconds=0.05, samples=5, threads=1)
        request = Request(wanted, engines=engines, variants=("fp32.tflite",), wait_s=0)
        file = tmp_path / "request.json"
        file.write_text(json.dumps(asdict(request)), encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, "-m", "edgekit.runtime.profiler", str(file), str(small_bundle)],
            env={**os.environ, "PYTHONPATH": str(tmp_path), bad_engines.HANGING: str(tmp_path / "hanging")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_its_events_are_lines_and_the_last_is_the_result(start: Callable[..., subprocess.Popen[str]]) -> None:
    output, errors = start("litert").communicate(timeout=_LIMIT_S)
    events = [json.loads(line) for line in output.splitlines()]
    assert {event["event"] for event in events[:-1]} == {"note", "progress", "cell"} and errors == ""
    assert events[-1]["event"] == "result"
    device: Any = conform(DeviceRecord, events[-1]["device"])
    assert device.machine is not None and device.engines["litert"]
    (cell,) = (conform(Cell, cell) for cell in events[-1]["cells"])
    assert (cell.variant, cell.engine, cell.status) == ("fp32.tflite", "litert", MEASURED)


def test_what_it_refuses_is_an_event_too(start: Callable[..., subprocess.Popen[str]]) -> None:
    output, errors = start("nonesuch").communicate(timeout=_LIMIT_S)
    (event,) = (json.loads(line) for line in output.splitlines())
    assert event["event"] == "error" and event["error"]["code"] == "EK-ENGINE" and errors == ""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_model_that_hangs_does_not_outlive_its_session(
    start: Callable[..., subprocess.Popen[str]], end: signal.Signals, tmp_path: Path
) -> None:
    session = start("hangs")
    try:
        said = tmp_path / "hanging"
        child = int(text_of(said))
        session.send_signal(end)
        session.communicate(timeout=_LIMIT_S)
        wait_until(lambda: not is_alive(child))
    finally:
        session.kill()


def test_a_session_that_nobody_listens_to_ends(start: Callable[..., subprocess.Popen[str]]) -> None:
    settings = Settings("quick", seed=0, repeats=1, seconds=1000, samples=5, threads=1)
    session = start("litert", settings=settings)
    assert session.stdout is not None and session.stderr is not None
    session.stdout.readline()
    session.stdout.close()
    assert session.wait(timeout=_LIMIT_S) == 1
    assert "Traceback" not in session.stderr.read()
    session.stderr.close()
