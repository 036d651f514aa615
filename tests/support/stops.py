"""Commands that are stopped by signals, and what they leave: temporary files, and processes of theirs."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EDGEKIT = Path(sysconfig.get_path("scripts"), "edgekit")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: All that a command starts inherits it.
_MARK = "EDGEKIT_TESTS_MARK"
#: Becomes the command, which hears every signal and belongs to the terminal that it reads from: a test run in the
#: background may have been started to ignore some.
_LAUNCH = """
import fcntl, os, signal, sys, termios
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Left:
    """What came of a stopped command.

    Attributes:
        files: What lies in its folder for temporary files.
        processes: Command lines of what it has started and that still runs.
    """

    exit_code: int
    output: str
    errors: str
    files: list[str]
    processes: list[str]


@dataclass
class Running:
    """A command that runs, with a folder for temporary files that nobody else has."""

    process: subprocess.Popen[str]
    temporary: Path
    mark: str
    said: list[str] = field(default_factory=list)

    def read_until(self, pattern: str) -> str:
        """What *pattern* finds in the next lines on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError("".join(self.said))

    def stop(self, *numbers: int, apart_s: float = 0.0) -> None:
        """Send it each of *numbers*."""
        for index, number in enumerate(numbers):
            if index:
                time.sleep(apart_s)
            self.process.send_signal(number)

    def finish(self, timeout_s: float = 60) -> Left:
        output, errors = self.process.communicate(timeout=timeout_s)
        until = time.monotonic() + 2
        while (processes := self.processes()) and time.monotonic() < until:  # a killed process is there for a moment
            time.sleep(0.05)
        files = sorted(path.relative_to(self.temporary).as_posix() for path in self.temporary.rglob("*"))
        return Left(self.process.returncode, output or "", "".join(self.said) + (errors or ""), files, processes)

    def processes(self) -> list[str]:
        """Command lines of all that it has started."""
        return [line for pid, line in self._marked() if pid != self.process.pid]

    def pids(self) -> list[int]:
        """It and all that it has started."""
        return [pid for pid, _ in self._marked()]

    def _marked(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{_MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if line:
                        yield int(folder.name), line
            except OSError:  # it has just ended, or is another's
                continue


@contextmanager
def running(
    *arguments: object, temporary: Path, environment: Mapping[str, str] | None = None, **options: object
) -> Iterator[Running]:
    """``edgekit ARGUMENTS``, as a user starts it; *options* are those of `subprocess.Popen`."""
    temporary.mkdir(exist_ok=True)
    mark = secrets.token_hex(8)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, EDGEKIT, *map(str, arguments)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {}), "TMPDIR": str(temporary), _MARK: mark},
        text=True,
        start_new_session=True,
        **{**pipes, **options},  # type: ignore[call-overload]
    )
    try:
        yield Running(process, temporary, mark)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
