"""A shell on a device: requests to ``agent.sh``, which runs there behind one connection.

The whole session is one process here and one there. When either dies, the other sees its input end and stops, the
device's lock goes with it, and what the agent was doing is either done or not done (see ``agent.sh``).
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import re
import secrets
import shlex
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from edgekit.devices.transport import described, pipes
from edgekit.devices.transport.completed import Answer, failure
from edgekit.display import Log
from edgekit.errors import DeviceError
from edgekit.runtime import children

_AGENT = Path(__file__).with_name("agent.sh")
#: What is kept of a line on standard error: the events of a profile are long, and heard already.
_LINE_CHARACTERS = 4000
#: What a login shell may print before an answer; a line of it, and the longest that begins an answer.
_MOST_NOISE_BYTES, _NOISE_LINE_BYTES = 1 << 20, 4096
#: What an answer may hold, unless its caller waits for more; and what may come on standard error meanwhile.
MOST_BYTES = 1 << 20
_MOST_SAID = (1 << 16, 4 << 20)
_FETCH_S = 300.0
#: How long a connection may take to end by itself.
_END_S = 1.5


class Shell:
    """A session with the agent. Close it, or use it as a context manager."""

    def __init__(self, device: str, process: subprocess.Popen[bytes], token: str, timeout_s: float, explain: Explain):
        self._device = device
        self._process = process
        self._token = token
        self._explain = explain
        self._errors: deque[str] = deque(maxlen=200)
        self._log: Log | None = None
        self._most_said, self._said_bytes = _MOST_SAID, 0
        self._marks = threading.Semaphore(0)
        self._late = self._flooded = self._broken = False
        threading.Thread(target=self._read_errors, daemon=True).start()
        self._answer("", timeout_s, 0)

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
            environment = children.environment(LC_ALL="C")
            process = children.start(
                command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=environment
            )
        except OSError as error:
            hint = f"install {connect[0]} on this machine"
            raise DeviceError("EK-CONNECT", f"{connect[0]} is not installed ({error.strerror})", hint) from error
        return cls(device, process, token, timeout_s, explain)

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
        most_bytes: int = MOST_BYTES,
        log: Log | None = None,
        most_said: tuple[int, int] = _MOST_SAID,
    ) -> Answer:
        """One request.

        Args:
            verb, arguments: As ``agent.sh`` has them.
            payload: What follows the request.
            timeout_s: The connection is given up when there is no answer by then.
            most_bytes: The longest output that may come; of more, the connection is given up.
            log: Called with each line on standard error as it comes.
            most_said: Bytes of such a line, of a longer one the beginning counts; and of all of them, of more the
                connection is given up.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke, there was no answer in time, or more of it than may come.
        """
        status, output = self._ask(verb, arguments, payload, timeout_s, most_bytes, log, most_said)
        return Answer(status, output.decode(errors="replace"), tuple(self._errors))

    def fetch(self, file: str, most_bytes: int) -> bytes:
        """The contents of *file* on the device, which may not have more than *most_bytes*.

        Raises:
            DeviceError: ``EK-DEVICE``: it cannot be read; ``EK-CONNECT`` as `ask`.
        """
        # In base64, with a line end after each 76 letters.
        letters = 4 * (most_bytes // 3 + 1)
        most = max(MOST_BYTES, letters + letters // 76 + 1)
        status, output = self._ask("fetch", (file,), b"", _FETCH_S, most, None, _MOST_SAID)
        if status != 0:
            said = output[:MOST_BYTES].decode(errors="replace")
            raise failure(self._device, Answer(status, said, tuple(self._errors)))
        try:
            data = base64.b64decode(output)
        except ValueError as error:
            raise self._give_up_on("sent a file that cannot be read") from error
        if len(data) > most_bytes:
            raise self._give_up_on("sent another file than the one that was asked for")
        return data

    def _ask(
        self,
        verb: str,
        arguments: Sequence[str],
        payload: bytes,
        timeout_s: float,
        most_bytes: int,
        log: Log | None,
        most_said: tuple[int, int],
    ) -> tuple[int, bytes]:
        if self._broken:
            raise DeviceError("EK-CONNECT", f"the connection to {self._device} is closed", "do the same again")
        self._errors.clear()
        self._log, self._most_said, self._said_bytes = log, most_said, 0
        line = " ".join([verb, *map(shlex.quote, arguments)])
        if "\n" in line:
            raise DeviceError("EK-DEVICE", f"{self._device} cannot be asked with a line break in {line!r}")
        return self._answer(f"{line}\n", timeout_s, most_bytes, payload)

    def do(self, verb: str, *arguments: str, payload: bytes = b"", timeout_s: float = 60) -> str:
        """A request that has to succeed; its output.

        Raises:
            DeviceError: ``EK-DEVICE``: it did not, with its last words; ``EK-CONNECT`` as `ask`.
        """
        return self.ask(verb, *arguments, payload=payload, timeout_s=timeout_s).must(self._device)

    def workspace(self) -> str:
        """A folder there for the files of runs, which goes when this session ends; the same one every time.

        Raises:
            DeviceError: ``EK-DEVICE``: there is none; ``EK-CONNECT`` as `ask`.
        """
        folder = described.path(self.do("workspace"))
        if folder is None:
            raise DeviceError("EK-DEVICE", f"{self._device} names no folder for the files of a run")
        return folder

    def close(self) -> None:
        """End the session. Closing twice is harmless."""
        children.end(self._process, 0.0 if self._broken else _END_S)

    def _answer(self, request: str, timeout_s: float, most_bytes: int, payload: bytes = b"") -> tuple[int, bytes]:
        """Exit code and output."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None
        watchdog = threading.Timer(timeout_s, self._give_up)
        watchdog.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # its reason is in the answer, or in what ssh says
                requests.write(request.encode() + payload)
                requests.flush()
            head = self._head(answers)
            if head is None:
                raise self._loss(timeout_s)
            found = re.fullmatch(rb" (\d{1,3}) (\d{1,15})\n", head)
            if found is None:
                raise self._give_up_on("gave an answer that makes no sense")
            status, length = map(int, found.groups())
            if length > most_bytes:
                raise self._give_up_on(f"answered with {length:,} bytes where at most {most_bytes:,} were due")
            output = pipes.exactly(answers, length)
            if len(output) < length:
                raise self._loss(timeout_s)
        except BaseException:
            self._broken = True
            self.close()
            raise
        finally:
            watchdog.cancel()
        self._marks.acquire(timeout=2)
        return status, output

    def _head(self, answers: IO[bytes]) -> bytes | None:
        """What follows the token in the line that begins an answer; None when the connection ends first.

        A login shell's own start-up files may print something before it.
        """
        token = self._token.encode()
        noise = 0
        line = b""
        while piece := answers.readline(_NOISE_LINE_BYTES):
            line = line[-len(token) :] + piece if line and not line.endswith(b"\n") else piece
            position = line.find(token)
            if position >= 0:
                head = line[position + len(token) :]
                return head if head.endswith(b"\n") else head + answers.readline(_NOISE_LINE_BYTES)
            noise += len(piece)
            if noise > _MOST_NOISE_BYTES:
                raise self._give_up_on("prints without end before it answers")
        return None

    def _loss(self, timeout_s: float) -> DeviceError:
        """The connection ended: the error for it."""
        children.end(self._process, _END_S)
        if self._late:
            return DeviceError(
                "EK-CONNECT", f"{self._device} gave no answer for {timeout_s:.0f} s", "is it overloaded?"
            )
        if self._flooded:
            return self._give_up_on("prints without end on standard error")
        self._marks.acquire(timeout=1)  # the reader's end of file
        return self._explain(self._process.returncode, list(self._errors))

    def _give_up(self) -> None:
        self._late = True
        children.kill_group(self._process)

    def _give_up_on(self, what: str) -> DeviceError:
        """The error for a device that is not as it should be: no answer of it is believed any more."""
        self._broken = True
        children.kill_group(self._process)
        return DeviceError("EK-CONNECT", f"{self._device} {what}", "is it the device you mean, and in order?")

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for raw, length in pipes.lines(self._process.stderr, lambda: self._most_said[0]):
            self._said_bytes += length
            if self._said_bytes > self._most_said[1]:
                self._flooded = True
                children.kill_group(self._process)
                break
            if not raw:
                continue
            line = raw.decode(errors="replace").rstrip()
            if line == self._token:
                self._marks.release()
                continue
            self._errors.append(line[:_LINE_CHARACTERS])
            if self._log is not None:
                self._log(line)
        self._marks.release()


#: Makes the error for a connection from the command's exit code and its lines on standard error.
Explain = Callable[[int, Sequence[str]], DeviceError]


def _who() -> str:
    """Who deploys, for those who find the device's lock taken."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
