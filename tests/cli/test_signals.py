"""Commands that are stopped: what is done is kept, and nothing is left behind; and commands that nobody listens to."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.bundles import only
from support.projects import TOML, TRAINING, write_project
from support.stops import EDGEKIT, STOPS, Left, running
from support.waiting import wait_until

from edgekit.profiling.files import read_profile
from edgekit.runtime.profiler.records import MEASURED

INT, TERM, HUP = STOPS
QUICK = ("--quick", "--engine", "litert", "--threads", "1")


@pytest.fixture(scope="module")
def bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    variants = ("fp32.tflite", "int8-dynamic.tflite")
    return only(small_bundle, variants, tmp_path_factory.mktemp("bundle") / "small.edgekit")


def is_clean(left: Left) -> None:
    assert left.files == [] and left.processes == [], left
    assert "Traceback" not in left.errors and "EK-UNEXPECTED" not in left.errors, left.errors


def by(number: signal.Signals) -> str:
    return "stopped" if number == INT else f"stopped by {number.name}"


@pytest.mark.parametrize("number", STOPS)
def test_a_profile_keeps_what_it_has_measured(bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    kept = tmp_path / "part.json"
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("so far")
        command.stop(number)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 128 + number and left.output == ""
    assert f"error: {by(number)}; what was measured until then is in {kept} [EK-INTERRUPTED]" in left.errors
    profile = read_profile(kept)
    cause = "Ctrl-C" if number == INT else number.name
    assert profile.notes == (f"stopped by {cause}: not everything was measured",)
    assert MEASURED in [cell.status for cell in profile.cells]


def test_a_stop_is_an_error_for_programs(bundle: Path, tmp_path: Path) -> None:
    with running("profile", bundle, *QUICK, "--json", temporary=tmp_path / "tmp") as command:
        command.read_until("so far")
        command.stop(TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143
    error = json.loads(left.output)["error"]
    assert (error["code"], error["message"]) == ("EK-INTERRUPTED", "stopped by SIGTERM")


def test_whole_repeats_stay_whole(bundle: Path, tmp_path: Path) -> None:
    kept, table = tmp_path / "part.json", tmp_path / "part.csv"
    with running("profile", bundle, *QUICK, "-o", table, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("repeat 2 of 2")
        command.stop(TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143 and f"{table}, {kept}" in left.errors
    profile = read_profile(kept)
    assert [len(cell.processes) for cell in profile.cells] == [1, 1]
    for cell in profile.cells:
        (process,) = cell.processes
        assert process.elapsed_ns is not None and process.elapsed_ns.count >= 32 and process.after is not None
    assert table.read_text().count("\n") == 3


def test_before_anything_is_measured_there_is_nothing_to_keep(bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "part.json"
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("repeat 1 of 2")
        command.stop(HUP)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 129 and by(HUP) in left.errors
    assert not kept.exists() or read_profile(kept).cells


def test_a_signal_for_everything_below_is_the_commands_own_to_hear(bundle: Path, tmp_path: Path) -> None:
    """As systemd and docker send it: a child that died of it would be a row that failed."""
    kept = tmp_path / "part.json"
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("so far")
        for pid in command.pids():
            os.kill(pid, TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143
    assert {cell.status for cell in read_profile(kept).cells} <= {MEASURED, "not run"}


def test_one_stop_that_comes_as_two_signals_is_one(bundle: Path, tmp_path: Path) -> None:
    """``timeout`` signals its command, and then its group."""
    kept = tmp_path / "part.json"
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("so far")
        command.stop(TERM, TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143 and read_profile(kept).cells


def test_a_second_signal_ends_at_once_and_says_what_is_written(bundle: Path, tmp_path: Path) -> None:
    kept, report = tmp_path / "part.json", tmp_path / "part.html"
    with running("profile", bundle, *QUICK, "-o", report, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("so far")
        command.stop(TERM)
        wait_until(kept.exists)
        time.sleep(0.25)
        began = time.monotonic()
        command.stop(TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143 and time.monotonic() - began < 20  # with a margin for a busy machine
    assert report.exists() or f"what was measured is in {kept}" in left.errors
    assert read_profile(kept).cells


_STUCK = """
import hashlib, subprocess, sys, tempfile
from edgekit.cli import console, signals
from edgekit.cli.leavings import Leavings
leavings = Leavings()
console.expect_document(True)
signals.listen(leavings.clear)
tempfile.NamedTemporaryFile(delete=False)
subprocess.Popen(["sh", "-c", "sleep 1000 & echo ready; wait"])
hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2**31 - 1)
"""


def _await_native_code(pid: int) -> None:
    """Until the main thread of `_STUCK` computes: what is there before takes no time by comparison."""
    began = _main_thread_s(pid)
    wait_until(lambda: _main_thread_s(pid) - began >= 0.3)


def _main_thread_s(pid: int) -> float:
    """What the main thread has computed, of which its state is field 3 and ``utime`` field 14 (see proc(5))."""
    state = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(state[11]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("second", [HUP, None])
def test_what_is_stuck_in_native_code_ends_at_a_second_signal_or_in_a_while(
    tmp_path: Path, second: signal.Signals | None
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", _STUCK], stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert list(tmp_path.iterdir()) != []
    _await_native_code(process.pid)
    process.send_signal(TERM)
    time.sleep(0.4)
    assert process.poll() is None
    if second is not None:
        process.send_signal(second)
    assert process.wait(20) == 143
    error = json.loads(process.stdout.read())["error"]  # what it has started does not hold its output open
    assert error["code"] == "EK-INTERRUPTED"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", STOPS)
def test_verify_leaves_nothing(small_bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running("verify", small_bundle, temporary=tmp_path / "tmp") as command:
        command.read_until("on litert")
        command.stop(number)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 128 + number and left.output == "" and f"error: {by(number)} [EK-INT" in left.errors


def test_a_connection_that_hangs_ends_with_all_its_processes(small_bundle: Path, tmp_path: Path) -> None:
    ssh = tmp_path / "bin" / "ssh"  # stands in for one that waits, with a proxy of its own
    ssh.parent.mkdir()
    ssh.write_text("#!/bin/sh\nsleep 1000 & echo waits >&2; sleep 1000\n")
    ssh.chmod(0o755)
    environment = {"PATH": f"{ssh.parent}{os.pathsep}{os.environ['PATH']}"}
    places = ("--on", "ssh://one", "--on", "ssh://two")
    for arguments in (("deploy", small_bundle, *places[:2]), ("profile", small_bundle, "--quick", *places)):
        with running(*arguments, temporary=tmp_path / "tmp", environment=environment) as command:
            wait_until(lambda: "sleep 1000 " in command.processes())
            command.stop(TERM)
            left = command.finish()
        is_clean(left)
        assert left.exit_code == 143


@pytest.mark.slow
def test_training_is_saved_as_by_ctrl_c(tmp_path: Path) -> None:
    toml = TOML.replace("[metric]", TRAINING.replace("epochs = 3", "epochs = 200") + "[metric]")
    project = write_project(tmp_path / "small", toml.replace('formats = ["tflite", "pte"]', 'formats = ["tflite"]'))
    cache = {"EDGEKIT_CACHE": str(tmp_path / "cache")}
    build = ("build", project, "--target", "rpi4")
    with running(*build, temporary=tmp_path / "tmp", environment=cache) as command:
        command.read_until(r"epoch +2")
        command.stop(TERM)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 143 and "the best so far" in left.errors and "go on from there" in left.errors
    with running(*build, temporary=tmp_path / "tmp", environment=cache) as command:
        command.read_until(r"epoch +\d+")
        first = command.said[-1]
        command.stop(HUP)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 129 and "epoch   1" not in first and "epoch 1/" not in first, first


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.5, 3, 6, 9, 12])
def test_a_build_leaves_nothing_at_any_moment(tmp_path: Path, after_s: float) -> None:
    project = write_project(tmp_path / "small")
    cache = {"EDGEKIT_CACHE": str(tmp_path / "cache")}
    with running("build", project, "--target", "rpi4", temporary=tmp_path / "tmp", environment=cache) as command:
        time.sleep(after_s)
        command.stop(TERM, HUP, apart_s=0.4)
        left = command.finish()
    is_clean(left)
    assert left.exit_code in (143, 0)


def test_what_was_started_to_ignore_a_closed_terminal_does(small_bundle: Path) -> None:
    words = ["nohup", EDGEKIT, "verify", small_bundle, "--quiet", "--json"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    process.send_signal(HUP)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(output)["rows"], errors


def test_a_terminal_that_is_closed_is_written_to_no_more(bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "part.json"
    terminal, inside = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), inside)
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp", **streams) as command:
        os.close(inside)
        said = b""
        while b"so far" not in said:
            said += os.read(terminal, 4096)
        os.close(terminal)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 129
    assert read_profile(kept).notes == ("stopped by SIGHUP: not everything was measured",)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("targets",), ("inspect", "{}"), ("inspect", "{}", "--json"), ("verify", "{}", "--quiet")],
)
def test_a_reader_that_has_gone_ends_it_quietly(small_bundle: Path, arguments: tuple[str, ...]) -> None:
    words = [word.format(small_bundle) for word in arguments]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([EDGEKIT, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert "rror" not in done.stderr and "Exception" not in done.stderr, done.stderr


def test_a_profile_whose_progress_nobody_reads_keeps_what_it_has(bundle: Path, tmp_path: Path) -> None:
    """``edgekit profile ... 2>&1 | head -2``"""
    kept = tmp_path / "part.json"
    reading, writing = os.pipe()
    words = ("profile", bundle, *QUICK, "-o", kept)
    with running(*words, temporary=tmp_path / "tmp", stdout=writing, stderr=writing) as command:
        os.close(writing)
        said = b""
        while b"so far" not in said:
            said += os.read(reading, 4096)
        os.close(reading)
        left = command.finish()
    is_clean(left)
    assert left.exit_code == 141 and read_profile(kept).cells


def test_standard_output_that_is_full_is_said(small_bundle: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [EDGEKIT, "inspect", small_bundle, "--json"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1 and "[EK-SPACE]" in done.stderr and "log:" not in done.stderr


def test_streams_that_are_closed_are_not_mistaken_for_others(small_bundle: Path) -> None:
    done = subprocess.run(["sh", "-c", f"exec {EDGEKIT} inspect {small_bundle} --json 2>&-"], capture_output=True)
    assert done.returncode == 0 and json.loads(done.stdout)
