"""edgekit's commands in forks of a process that has imported what each of them would import anew: many more in the same
time. Engines' processes are forks as well. Nothing else of a command is another than in a shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.cli.main import main
from edgekit.errors import EdgekitError
from edgekit.runtime import children, remote_child
from edgekit.runtime.engines import engine as find_engine

_OWN = ("home", "tmp", "here")
_DOCUMENTED = (0, 1, 2, 3, 5, 6)
#: Seconds after which a command is stuck.
_LONGEST_S = 60


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: Its exit code; negative for a signal.
        code: The last error code that it named on standard error.
        said: What it wrote, standard output first.
        left: Files and folders that it left, and does not name.
        own_bytes, engine_bytes: The most memory that was resident, in its own process and in an engine's, what this
            process had when it forked among it.
    """

    status: int
    code: str
    said: str
    left: list[str]
    own_bytes: int
    engine_bytes: int
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What no command may do, whatever it is given."""
        found = {
            f"ended with {self.status}": self.status not in _DOCUMENTED,
            "says nothing": self.status != 0 and not self.code,
            "unforeseen": "EK-UNEXPECTED" in self.said or "Traceback" in self.said,
            "escapes": "\x1b" in self.said,
            f"left {', '.join(self.left)}": bool(self.left),
            f"took {self.own_bytes:,} and {self.engine_bytes:,} bytes": max(self.own_bytes, self.engine_bytes) > 10**9,
            f"took {self.seconds:.0f} s": self.seconds > _LONGEST_S,
        }
        return [fault for fault, is_so in found.items() if is_so]


class ForkedCommands:
    """Runs commands one after the other, in a folder of their own, which is looked through after each.

    The process that they are forks of is one of its own, too: this one may have threads, which do not survive a fork.
    """

    def __init__(self, folder: Path, engine: str):
        """*engine*'s library is imported before all, and its processes are forks."""
        command = [sys.executable, "-m", "support.forked_commands", str(folder), engine]
        self._server = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> ForkedCommands:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def run(self, *arguments: str) -> Outcome:
        """``edgekit`` with *arguments*."""
        return self._ask("edgekit", *arguments)

    def load(self, bundle: Path, sample: Path) -> Outcome:
        """A program that loads *bundle* in a process of its own, and calls it on the arrays in *sample*."""
        return self._ask("load", str(bundle), str(sample))

    def _ask(self, *words: str) -> Outcome:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()
        return Outcome(**json.loads(self._server.stdout.readline()))


def serve_commands(folder: Path, engine: str) -> None:
    """The other side of `ForkedCommands`."""
    answers = os.fdopen(os.dup(1), "w")
    find_engine(engine).import_library()
    children.start = _start
    _renew(folder)
    for line in sys.stdin:
        word, *arguments = json.loads(line)
        program = partial(main, arguments) if word == "edgekit" else partial(_load, *map(Path, arguments))
        answers.write(json.dumps(asdict(_run(folder, program))) + "\n")
        answers.flush()


def _load(bundle: Path, sample: Path) -> None:
    with np.load(sample) as stored:
        inputs = {name: stored[name] for name in stored.files}
    try:
        with edgekit.load(bundle, isolated=True) as model:
            model(inputs)
    except EdgekitError as error:
        told = [f"error: {error.message} [{error.code}]", *([f"  log: {error.log}"] if error.log else [])]
        print(*told, sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)


def _run(folder: Path, program: Callable[[], object]) -> Outcome:
    """*program* in a fork that takes *folder* for all that there is."""
    said, used = [folder / name for name in ("output", "errors")], folder / "used"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            os.chdir(folder / "here")
            os.environ.update(HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"))
            files = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for path in said]
            _stand_for([os.open(os.devnull, os.O_RDONLY), *files])
            code = _code_of(program)
            usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            used.write_text(json.dumps(usage))
        finally:
            os._exit(code)
    status = _end_of(child, began + _LONGEST_S)
    seconds = time.monotonic() - began
    output, errors = (path.read_text(errors="replace") for path in said)
    own, engine = json.loads(used.read_text()) if used.exists() else (0, 0)
    used.unlink(missing_ok=True)
    logs = re.findall("log: (.+)", errors)
    files = [path for name in _OWN for path in (folder / name).rglob("*")]
    left = [str(path.relative_to(folder)) for path in files if str(path) not in logs]
    if files:
        _renew(folder)
    code = (re.findall(r"\[(EK-[A-Z-]+)\]", errors) or [""])[-1]
    return Outcome(status, code, output + errors, left, own << 10, engine << 10, seconds)


def _renew(folder: Path) -> None:
    for name in _OWN:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)


class _ForkedEngine:
    """What `subprocess.Popen` is to `edgekit.runtime.children.Child`."""

    def __init__(self, stderr: Any, pass_fds: Sequence[int], env: dict[str, str]):
        self.returncode: int | None = None
        requests, answers = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                signal.set_wakeup_fd(-1)
                _stand_for([os.dup(requests[0]), os.dup(answers[1]), os.dup(stderr.fileno())])
                kept = [2, *sorted(pass_fds), os.sysconf("SC_OPEN_MAX")]
                for before, after in pairwise(kept):
                    os.closerange(before + 1, min(after, 1 << 16))
                os.environ.clear()
                os.environ.update(env)
                code = _code_of(remote_child.main)
            finally:
                os._exit(code)
        os.close(requests[0])
        os.close(answers[1])
        self.stdin, self.stdout = os.fdopen(requests[1], "wb"), os.fdopen(answers[0], "rb")

    def poll(self) -> int | None:
        if self.returncode is None:
            child, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if child else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (3600 if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("an engine", timeout or 0)
            time.sleep(0.001)
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


_start_anew = children.start


def _start(command: Sequence[str], **options: Any) -> Any:
    if remote_child.__name__ not in command:
        return _start_anew(command, **options)
    return _ForkedEngine(options["stderr"], options["pass_fds"], options["env"])


def _stand_for(files: Sequence[int]) -> None:
    """Make *files* standard input, output and error."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    tempfile.tempdir = None
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))


def _code_of(program: Callable[[], object]) -> int:
    code: Any = 0
    try:
        program()
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = 1
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return int(code or 0)


def _end_of(child: int, latest: float) -> int:
    """The status of *child*, which is killed when it is not done by then."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > latest:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


if __name__ == "__main__":
    serve_commands(Path(sys.argv[1]), sys.argv[2])
