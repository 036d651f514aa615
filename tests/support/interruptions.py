"""Deployments that are killed at some moment, and whether the board is whole afterwards.

The old release is deployed by this edgekit, the new one by "a later edgekit" whose runner differs in a comment: each
has a part of its own, so that a deployment of the new one sends everything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from support import commands
from support.board import Board
from support.commands import Done

from edgekit.bundle import Bundle

Kind = Literal["client", "connection", "power"]
KINDS: tuple[Kind, ...] = ("client", "connection", "power")

STAGES = ("nothing sent", "sending", "unpacking", "part there", "release there", "switched")

_LATER = (
    "from edgekit.devices.payload import runner_pack; runner_pack._START += '# later\\n'; "
    "from edgekit.cli.main import main; main()"
)
_APP = "edgekit/apps/small"


@dataclass(frozen=True)
class Trial:
    """One killed deployment.

    Attributes:
        kind: What was killed: edgekit, its ssh, or the board's power.
        after_s: When, counted from the start of ssh.
        exit_code: Of the command; -9 when it was killed itself.
        release: ``old`` or ``new``: what is current afterwards.
        stage: How far it had come, as the board's disk shows: one of `STAGES`.
    """

    kind: Kind
    after_s: float
    exit_code: int
    release: str
    stage: str


class Interrupted:
    """A board without Python that has the old release and shall get the new one."""

    def __init__(self, board: Board, bundle: Path):
        self.board = board
        self._bundle = bundle
        with Bundle.open(bundle) as opened:
            inputs, outputs = opened.check_vectors()
        (sample,), (self._expected,) = ([array[:1] for array in part.values()] for part in (inputs, outputs))
        (board.home / "input.raw").write_bytes(sample.tobytes())
        done = commands.edgekit("deploy", bundle, "--on", board.url, environment=board.environment)
        assert done.exit_code == 0, done.errors
        self.trees = {"old": self._tree()}
        self._current = {"old": os.readlink(board.home / _APP / "current")}
        board.stop()
        self._disk = board.disk.with_name("disk-with-old")
        _copy(board.disk, self._disk)
        self.time_whole()
        self.trees["new"] = self._tree()
        self._current["new"] = os.readlink(board.home / _APP / "current")
        assert not set(self.trees["old"]) & set(self.trees["new"])

    def time_whole(self) -> None:
        """Measure a deployment that nobody interrupts: what `kill_one` takes moments of."""
        self._restore()
        process = self.deploy()
        began = _connected(process)
        done = commands.finish(process)
        assert done.exit_code == 0, done.errors
        self._whole_s = time.monotonic() - began

    def deploy(self) -> subprocess.Popen[str]:
        """Start deploying the new release."""
        return subprocess.Popen(
            [sys.executable, "-c", _LATER, "deploy", self._bundle, "--on", self.board.url, "--json"],
            env={**os.environ, **self.board.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_one(self, kind: Kind, moment: float) -> Trial:
        """Deploy the new release onto a board that has the old one, kill it, and look.

        Args:
            moment: 0 to 1, as a share of what `time_whole` found. It may be over by then: exit code 0.

        Raises:
            AssertionError: The board has no complete, working release.
        """
        self._restore()
        process = self.deploy()
        after_s = moment * self._whole_s
        _connected(process)
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            self._kill(kind, process)
        done = commands.finish(process)
        stage = self._stage()
        release = self.check()
        if done.exit_code == 0:
            assert release == "new", "the deployment succeeded, and the old release is current"
        assert done.exit_code in (0, 4, -signal.SIGKILL), done.errors
        return Trial(kind, after_s, done.exit_code, release, stage)

    def finish(self) -> Done:
        """Deploy the new release over what the interruption left."""
        done = commands.finish(self.deploy())
        if done.exit_code == 0:
            assert self.check() == "new"
        return done

    def check(self) -> str:
        """Which release is current: complete to the last byte, and gives the model's outputs when it runs."""
        tree = self._tree()
        release = next((name for name, known in self.trees.items() if known == tree), None)
        assert release is not None, f"the current release is neither the old one nor the new one: {sorted(tree)}"
        run = (
            f"cd && mkdir -p out && {_APP}/current/bin/edgekit-runner --input input.raw --output-dir out"
            f" --model {_APP}/current/small.edgekit/variants/fp32.pte"
        )
        answer = self.board.exec(run)
        assert answer.returncode == 0, answer.stderr
        output = np.frombuffer((self.board.home / "out/output_0.raw").read_bytes(), self._expected.dtype)
        assert np.allclose(output, self._expected.reshape(-1), atol=1e-4)
        return release

    def _restore(self) -> None:
        """The board with the old release, as it was deployed."""
        self.board.stop()
        _copy(self._disk, self.board.disk)
        self.board.start()

    def _kill(self, kind: Kind, process: subprocess.Popen[str]) -> None:
        if kind == "client":
            process.kill()
        elif kind == "connection":
            # The board hears of it as of a cable that is pulled out: its end of the connection closes.
            for pid in _children(process.pid):
                with contextlib.suppress(ProcessLookupError):  # it was just done
                    os.kill(pid, signal.SIGKILL)
        else:
            self.board.kill()
            self.board.start()

    def _stage(self) -> str:
        root = self.board.home / "edgekit"
        if os.readlink(self.board.home / _APP / "current") == self._current["new"]:
            return "switched"
        if (self.board.home / _APP / self._current["new"]).is_dir():
            return "release there"
        if len(list((root / "parts").iterdir())) > 1:
            return "part there"
        left = list((root / "incoming").iterdir())
        if any(path.is_dir() for path in left):
            return "unpacking"
        return "sending" if left else "nothing sent"

    def _tree(self) -> Mapping[str, str]:
        """Hash of every file of the current release and of the parts it refers to, by path."""
        root = self.board.home / "edgekit"
        app = self.board.home / _APP
        release = app / os.readlink(app / "current")
        parts = [root / "parts" / digest for digest in (release / "parts").read_text().split()]
        files = [file for folder in (release, *parts) for file in folder.rglob("*") if file.is_file()]
        return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _connected(process: subprocess.Popen[str]) -> float:
    """Wait until *process* has started ssh: before that, nothing can happen to a board. The time it is then."""
    while process.poll() is None and not _children(process.pid):
        time.sleep(0.01)
    return time.monotonic()


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _copy(source: Path, destination: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, destination], check=True)
