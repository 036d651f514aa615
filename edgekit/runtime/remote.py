"""Running an engine in a process of its own: for one that needs another environment, and to survive its crash."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError, from_json
from edgekit.runtime import frames
from edgekit.runtime.engines.base import Steps
from edgekit.tensors import Signature


class Server:
    """A process that opens one model file after another on one engine. Close it, or use it as a context manager."""

    def __init__(self, engine: str, process: subprocess.Popen[bytes], log: Path):
        self._engine = engine
        self._process = process
        self._log = log
        self._current: object = None
        self._owner = os.getpid()

    @classmethod
    def start(cls, engine: str, command: Sequence[str]) -> Server:
        """Start *command*, which has to run `edgekit.runtime.serve` (see `edgekit.runtime.environments`)."""
        with tempfile.NamedTemporaryFile(prefix="edgekit-engine-", suffix=".log", delete=False) as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        return cls(engine, process, Path(log.name))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(
        self,
        data: bytes,
        format: str,
        signature: Signature,
        threads: int,
        method: str | None = None,
        *,
        owned: bool = False,
    ) -> RemoteSession:
        """Open a model file (see `edgekit.runtime.engines.open_session`); the session before it is closed.

        Args:
            owned: Whether closing the session ends the process too.

        Raises:
            EdgekitError: What the engine raised there, or ``EK-CRASHED`` with the signal that ended the process.
        """
        header = {"do": "open", "engine": self._engine, "format": format, "threads": threads, "method": method}
        try:
            answer, _ = self.call({**header, "signature": signature.to_json()}, data)
        except EdgekitError:
            if owned:
                self.close()
            raise
        session = RemoteSession(self, signature, answer["threads"], owned)
        self._current = session
        return session

    def call(self, header: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """One request and its answer."""
        if os.getpid() != self._owner:  # two processes would read each other's answers
            message = f"{self._engine} runs in a process that belongs to this one's parent"
            raise EdgekitError("EK-RUN", message, "load the model after the fork")
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None
        try:
            frames.send(requests, header, body)
            answer, result = frames.receive(answers)
        except (BrokenPipeError, EOFError, ValueError) as error:
            raise self._death() from error
        if "error" in answer:
            raise from_json(answer["error"])
        return answer, result

    def is_current(self, session: RemoteSession) -> bool:
        return self._current is session

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process; its log goes too, unless it died on its own."""
        self._current = None
        crashed = self._process.poll() not in (None, 0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    crashed = True
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if not crashed:
            self._log.unlink(missing_ok=True)

    def _death(self) -> EdgekitError:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        return death(self._engine, status, self._log)


class RemoteSession:
    """A `Session` whose engine runs in a `Server`. A call costs two trips through a pipe, about 0.1 ms."""

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    steps: Steps | None = None

    def __init__(self, server: Server, signature: Signature, threads: int, owned: bool):
        self.threads = threads
        self._server = server
        self._signature = signature
        self._owned = owned

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not self._server.is_current(self):
            raise EdgekitError("EK-RUN", "the session is closed")
        _, body = self._server.call({"do": "run"}, frames.pack(inputs))
        return frames.unpack(body, self._signature.outputs)

    def run_marked(self, inputs: Sequence[np.ndarray], times: int) -> None:
        """`run` several times, each between two ``getppid`` system calls, for a counter that watches the process."""
        if not self._server.is_current(self):
            raise EdgekitError("EK-RUN", "the session is closed")
        self._server.call({"do": "run marked", "times": times}, frames.pack(inputs))

    def close(self) -> None:
        if self._owned:
            self._server.close()
        elif self._server.is_current(self) and self._server.alive:
            self._server.call({"do": "close"})


def death(engine: str, status: int, log: Path | str | None) -> EdgekitError:
    """The `EdgekitError` for a process of *engine* that ended by itself with *status*, as `subprocess` counts it."""
    if status < 0:
        try:
            cause = signal.Signals(-status).name
        except ValueError:
            cause = f"signal {-status}"
        killed = -status == signal.SIGKILL
        hint = "out of memory, most likely" if killed else "its native code crashed on this model file"
    else:
        cause, hint = f"exit code {status}", "the log has its last words"
    return EdgekitError("EK-CRASHED", f"{engine}'s process died ({cause})", hint, log)
