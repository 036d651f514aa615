"""A shell on a device: requests to ``agent.sh``, which runs there behind one connection.

The whole session is one process here and one there. When either dies, the other sees its input end and stops, the
device's lock goes with it, and what the agent was doing is either done or not done (see ``agent.sh``).
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import secrets
import shlex
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import DeviceError

_AGENT = Path(__file__).with_name("agent.sh")
#: What is kept of a line on standard error: the events of a profile are long, and heard already.
_LINE_CHARACTERS = 4000


@dataclass(frozen=True)
class Answer:
    """What a request came to.

    Attributes:
        status: Exit code; 128 and the signal's number for a program that a signal ended.
        output: Standard output.
        errors: Lines on standard error.
    """

    status: int
    output: str
    errors: tuple[str, ...]

    @property
    def signal(self) -> str | None:
        """Name of the signal that ended the program, or None."""
        try:
            return signal.Signals(self.status - 128).name if self.status > 128 else None
        except ValueError:
            return None


class Shell:
    """A session with the agent. Close it, or use it as a context manager."""

    def __init__(self, device: str, process: subprocess.Popen[bytes], token: str, timeout_s: float, explain: Explain):
        self._device = device
        self._process = process
        self._token = token
        self._explain = explain
        self._errors: deque[str] = deque(maxlen=200)
        self._on_error: Callable[[str], None] | None = None
        self._marks = threading.Semaphore(0)
        self._late = False
        threading.Thread(target=self._read_errors, daemon=True).start()
        self._answer("", timeout_s)

    @classmethod
    def start(cls, device: str, connect: Sequence[str], *, timeout_s: float, explain: Explain) -> Shell:
        """Start the agent.

        Args:
            device: What messages call the device.
            connect: The command that runs its last argument, which is appended, in the device's login shell.
            timeout_s: How long the connection may take.
            explain: Makes the error for a connection that failed or ended, from what the command said.

        Raises:
            DeviceError: What *explain* made.
        """
        token = secrets.token_hex(8)
        script = f"token={token} who={shlex.quote(_who())}\n{_AGENT.read_text(encoding='utf-8')}"
        # In base64, because it is the login shell that takes the words apart, which may be any shell.
        packed = base64.b64encode(script.encode()).decode()
        command = [*connect, f"exec sh -c 'eval \"$(echo {packed} | base64 -d)\"'"]
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C is for edgekit, which then ends the connection in good order.
        try:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env={**os.environ, "LC_ALL": "C"}
            )
        except OSError as error:
            hint = f"install {connect[0]} on this machine"
            raise DeviceError("EK-CONNECT", f"{connect[0]} is not installed ({error.strerror})", hint) from error
        try:
            return cls(device, process, token, timeout_s, explain)
        except BaseException:
            _end(process)
            raise

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self,
        verb: str,
        *arguments: str,
        payload: bytes = b"",
        timeout_s: float = 60,
        on_error: Callable[[str], None] | None = None,
    ) -> Answer:
        """One request.

        Args:
            verb, arguments: As ``agent.sh`` has them.
            payload: What follows the request.
            timeout_s: The connection is given up when there is no answer by then.
            on_error: Called with each line on standard error as it comes.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke, or there was no answer in time.
        """
        self._errors.clear()
        self._on_error = on_error
        line = " ".join([verb, *map(shlex.quote, arguments)])
        if "\n" in line:
            raise DeviceError("EK-DEVICE", f"{self._device} cannot be asked with a line break in {line!r}")
        return self._answer(f"{line}\n", timeout_s, payload)

    def do(self, verb: str, *arguments: str, payload: bytes = b"", timeout_s: float = 60) -> str:
        """A request that has to succeed; its output.

        Raises:
            DeviceError: ``EK-DEVICE``: it did not, with its last words; ``EK-CONNECT`` as `ask`.
        """
        answer = self.ask(verb, *arguments, payload=payload, timeout_s=timeout_s)
        if answer.status != 0:
            raise failure(self._device, answer)
        return answer.output

    def close(self) -> None:
        """End the session. Closing twice is harmless."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        _end(self._process, wait_s=5)

    def _answer(self, request: str, timeout_s: float, payload: bytes = b"") -> Answer:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None
        watchdog = threading.Timer(timeout_s, self._give_up)
        watchdog.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # its reason is in the answer, or in what ssh says
                requests.write(request.encode() + payload)
                requests.flush()
            # A login shell's own start-up files may print something first.
            while (head := answers.readline()) and self._token.encode() not in head:
                pass
            words = head[head.find(self._token.encode()) :].split()
            output = answers.read(int(words[2])) if len(words) == 3 else b""
            if len(words) != 3 or len(output) < int(words[2]):
                raise self._loss(timeout_s)
        finally:
            watchdog.cancel()
        self._marks.acquire(timeout=5)
        return Answer(int(words[1]), output.decode(errors="replace"), tuple(self._errors))

    def _loss(self, timeout_s: float) -> DeviceError:
        """The connection ended: the error for it."""
        _end(self._process, wait_s=5)
        if self._late:
            return DeviceError(
                "EK-CONNECT", f"{self._device} gave no answer for {timeout_s:.0f} s", "is it overloaded?"
            )
        self._marks.acquire(timeout=1)  # the reader's end of file
        return self._explain(self._process.returncode, list(self._errors))

    def _give_up(self) -> None:
        self._late = True
        _kill(self._process)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            line = raw.decode(errors="replace").rstrip()
            if line == self._token:
                self._marks.release()
                continue
            self._errors.append(line[:_LINE_CHARACTERS])
            if self._on_error is not None:
                self._on_error(line)
        self._marks.release()


#: Makes the error for a connection from the command's exit code and its lines on standard error.
Explain = Callable[[int, Sequence[str]], DeviceError]


def failure(device: str, answer: Answer) -> DeviceError:
    """The `DeviceError` for a request that failed on *device*."""
    said = [line for line in (*answer.errors, *answer.output.splitlines()) if line.strip()]
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in said):
        hint = "free some space there; what was deployed before still runs"
        return DeviceError("EK-DEVICE", f"{device}: the disk is full", hint)
    if answer.signal is not None:
        return death(device, "a program", answer)
    return DeviceError("EK-DEVICE", f"{device}: {said[-1] if said else f'exit code {answer.status}'}")


def death(device: str, what: str, answer: Answer) -> DeviceError:
    """The `DeviceError` for *what*, which a signal ended on *device*."""
    hint = {
        "SIGKILL": "out of memory, most likely: use a smaller variant or fewer threads",
        "SIGILL": "its code has instructions that this processor lacks: use another variant or engine",
        "SIGBUS": "out of memory or disk, most likely",
    }.get(answer.signal or "", "its native code crashed: use another variant or engine")
    return DeviceError("EK-CRASHED", f"{device}: {what} was ended by a signal ({answer.signal})", hint)


def _who() -> str:
    """Who deploys, for those who find the device's lock taken."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _end(process: subprocess.Popen[bytes], wait_s: float = 0) -> None:
    try:
        process.wait(timeout=wait_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With what it has started: a proxy, or the program that ``ssh`` is a script for."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
