"""Running an engine in a process of its own: for one that needs another environment, and to survive its crash."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime import environments, frames
from edgekit.runtime.children import Child, Death
from edgekit.schema import conform
from edgekit.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    from edgekit.runtime.engines.base import Steps


def serve_here(engine: str) -> list[str]:
    """The command line of *engine*'s process on this machine."""
    return environments.command(engine, "edgekit.runtime.remote_child")


class Server:
    """A process that opens one model file after another on one engine. Close it, or use it as a context manager."""

    def __init__(self, engine: str, child: Child, log: Path):
        self._engine = engine
        self._child = child
        self._log = log
        self._current: object = None
        self._owner = os.getpid()
        self._failure: EdgekitError | None = None

    @classmethod
    def start(cls, engine: str, command: Sequence[str] | None = None) -> Server:
        """Start *command*, which has to run `edgekit.runtime.remote_child`; by default on this machine."""
        with tempfile.NamedTemporaryFile(prefix="edgekit-engine-", suffix=".log", delete=False) as log:
            try:
                child = Child(serve_here(engine) if command is None else command, log)
            except Death as death:
                Path(log.name).unlink()
                raise death.error(f"{engine}'s process") from death
        return cls(engine, child, Path(log.name))

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
            used = answer.get("threads")
            if type(used) is not int or not 0 < used < 1 << 16:
                raise self._fail(Death(None).error(f"{self._engine}'s process", log=self._log))
        except BaseException:
            if owned:
                self.close()
            raise
        session = RemoteSession(self, signature, used, owned)
        self._current = session
        return session

    def measure_outputs(
        self, data: bytes, format: str, inputs: tuple[TensorSpec, ...], sample: Sequence[np.ndarray]
    ) -> tuple[TensorSpec, ...]:
        """What a model file gives for *sample*, where the file does not say: names, shapes and dtypes.

        Raises:
            EdgekitError: As `open` and `RemoteSession.run`.
        """
        session = self.open(data, format, Signature(inputs, ()), 1)
        answer, _ = self.call({"do": "measure outputs"}, frames.pack(sample))
        session.close()
        try:
            found: tuple[TensorSpec, ...] = conform(tuple[TensorSpec, ...], answer["outputs"])
        except (KeyError, ValueError) as error:
            raise self._fail(Death(None).error(f"{self._engine}'s process", log=self._log)) from error
        return found

    def call(
        self, header: dict[str, Any], body: bytes = b"", outputs: Sequence[TensorSpec] = ()
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """One request and its answer, which may bring arrays like *outputs* along, and nothing larger."""
        if os.getpid() != self._owner:  # two processes would read each other's answers
            message = f"{self._engine} runs in a process that belongs to this one's parent"
            raise EdgekitError("EK-RUN", message, "load the model after the fork")
        if self._failure is not None:
            raise self._failure
        try:
            resized = "shapes" in header
            return self._child.ask(header, body, take=lambda answers: frames.receive_arrays(answers, outputs, resized))
        except EdgekitError:
            raise
        except Death as death:
            raise self._fail(death.error(f"{self._engine}'s process", log=self._log)) from death
        except BaseException:  # Ctrl-C: after a part of an answer, the process is of no more use
            message = f"{self._engine} was interrupted in the middle of a run"
            self._fail(EdgekitError("EK-RUN", message, "load the model again"))
            raise

    def is_current(self, session: RemoteSession) -> bool:
        return self._current is session

    @property
    def alive(self) -> bool:
        return self._failure is None and self._child.process.poll() is None

    def close(self) -> None:
        """End the process; its log goes too, unless it died on its own. Twice is harmless."""
        self._current = None
        crashed = self._failure is not None or self._child.process.poll() not in (None, 0)
        self._child.kill(gently=True)
        if not crashed:
            self._log.unlink(missing_ok=True)

    def _fail(self, failure: EdgekitError) -> EdgekitError:
        self._failure = failure
        self._child.kill()
        return failure


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
        self._check()
        fixed = [spec.shape for spec in self._signature.inputs]
        # A number may come with an axis of samples.
        shapes = [a.shape if a.ndim == len(shape) else shape for a, shape in zip(inputs, fixed, strict=True)]
        given = {} if shapes == fixed else {"shapes": shapes}  # to a method whose sizes are open
        return self._server.call({"do": "run", **given}, frames.pack(inputs), self._signature.outputs)[1]

    def run_marked(self, inputs: Sequence[np.ndarray], times: int) -> None:
        """`run` several times, each between two ``getppid`` system calls, for a counter that watches the process."""
        self._check()
        self._server.call({"do": "run marked", "times": times}, frames.pack(inputs))

    def close(self) -> None:
        if self._owned:
            self._server.close()
        elif self._server.is_current(self) and self._server.alive:
            self._server.call({"do": "close"})

    def _check(self) -> None:
        if not self._server.is_current(self):
            raise EdgekitError("EK-RUN", "the session is closed")
