"""Child processes: the command line and the environment of every program that edgekit starts, here and nowhere else;
how a process of edgekit's own is asked, and how its death is explained.

Python by itself takes modules from the current folder, and a ``PATH`` with ``.`` or an empty entry in it takes programs
from there. That folder is where people keep what they downloaded: nothing in it is ever run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import edgekit
from edgekit.errors import EdgekitError, from_json

if TYPE_CHECKING:
    import subprocess

T = TypeVar("T")

#: Loads exactly this edgekit, in this Python or another, and nothing else from where it is installed.
_BOOT = """\
import importlib.util as util, runpy, sys
package = sys.argv[1]
spec = util.spec_from_file_location("edgekit", package + "/__init__.py", submodule_search_locations=[package])
module = util.module_from_spec(spec)
sys.modules["edgekit"] = module
spec.loader.exec_module(module)
name = sys.argv[2]
del sys.argv[:2]
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""

#: Runs the rest of its command line with bounds.
_LIMITS = """\
import os, resource, sys
for name, most in (("FSIZE", int(sys.argv[1])), ("CPU", int(sys.argv[2])), ("CORE", 0)):
    resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
os.execv(sys.argv[3], sys.argv[3:])
"""

#: Names the descriptor of a pipe whose other end the parent has, and which nothing is ever written to.
LIFELINE = "EDGEKIT_LIFELINE"

#: How long a process that was asked for nothing more may take to end.
_END_S = 5.0

#: What a signal is known to mean, and what to do about it.
_SIGNALS = {
    "SIGKILL": ("out of memory, most likely", "free some memory, or use a smaller variant, fewer threads or --jobs 1"),
    "SIGBUS": ("out of memory or disk, most likely", "free some, or use a smaller variant"),
    "SIGILL": ("instructions that this processor lacks", "use another variant or engine"),
}
_CRASHED = "its native code crashed: use another variant or engine"

#: ONNX Runtime (on Linux from 1.29.0 on) gives this machine a number as soon as it is imported, keeps it below the home
#: folder, and sends its maker what is run, unless this is set.
UNTOLD = {"ORT_DISABLE_TELEMETRY": "1"}

#: With these, what a program finds is independent of where it was started. ``-P`` keeps ``PYTHONPATH``.
ANYWHERE = ("-P",)
#: And of the user's own settings besides.
ISOLATED = ("-I",)


def python(*arguments: str) -> list[str]:
    """The command line of this Python with *arguments*."""
    return [sys.executable, *ANYWHERE, *arguments]


def module(name: str, interpreter: Path | None = None) -> list[str]:
    """The command line that runs edgekit's module *name* in a process of its own.

    Args:
        interpreter: Another Python, which has packages of its own. edgekit is handed over as a single package: its
            folder on ``PYTHONPATH`` would, in an ordinary install, bring this Python's numpy with it.
    """
    # -B: an environment is sealed, and new compiled modules would be a change.
    program = python() if interpreter is None else [str(interpreter), *ISOLATED, "-B"]
    return [*program, "-c", _BOOT, str(Path(edgekit.__file__).parent.absolute()), name]


def limited(command: Sequence[str], *, file_bytes: int, cpu_s: int) -> list[str]:
    """The command line that runs *command* with a bound on the files that it writes, and on the time it computes."""
    return python("-c", _LIMITS, str(file_bytes), str(cpu_s), *command)


class Death(Exception):
    """Why a process is of no more use, in the one explanation that there is of it.

    Attributes:
        signal: Name of the signal that ended it, or None.
        what: What became of it, to be said behind its name: ``died (SIGSEGV)``.
        hint: What to do about it.
    """

    def __init__(self, status: int | OSError | None):
        """*status* is that of a process that ended by itself, as `subprocess` counts, or why the system did not start
        it; None: it was killed for what it answered."""
        number = signal.SIGKILL if status is None else -status if isinstance(status, int) else 0
        self.signal = _name(number) if number > 0 else None
        if isinstance(status, OSError):
            self.what, self.hint = f"could not be started ({status.strerror})", "close other programs"
        elif status is None:
            self.what = "gave an answer that makes no sense"
            self.hint = "its native code was led astray by this model file"
        elif self.signal is not None:
            meaning, self.hint = _SIGNALS.get(self.signal, ("", _CRASHED))
            self.what = f"died ({self.signal}: {meaning})" if meaning else f"died ({self.signal})"
        else:
            self.what, self.hint = f"died (exit code {status})", "the log has its last words"
        super().__init__(self.what)

    def error(self, whose: str, kind: type[EdgekitError] = EdgekitError, log: Path | None = None) -> EdgekitError:
        """The error of that *kind* for the process called *whose*."""
        return kind("EK-CRASHED", f"{whose} {self.what}", self.hint, log)


class Child:
    """A process that answers requests over its pipes (see `edgekit.runtime.frames`), and ends with this one.

    It has a group of its own, so that the terminal's Ctrl-C does not reach it, and what it starts goes with it. It has
    no session of its own: Linux shares the processor out between sessions first (sched(7), autogroup), so that
    ``nice edgekit build`` would mean nothing to it.
    """

    def __init__(self, command: Sequence[str], log: IO[Any] | int, **variables: str):
        """Start *command*, a module of edgekit's that calls `edgekit.runtime.confinement.end_with_parent`.

        Args:
            log: Takes what it prints on standard error.
            variables: Of its environment, beside this process's own.

        Raises:
            Death: The system cannot start it: it has no memory, or too many processes.
        """
        import subprocess

        line, lifeline = os.pipe()
        self._lifeline = os.fdopen(lifeline, "wb")
        try:
            self.process: subprocess.Popen[bytes] = start(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,
                pass_fds=(line,),
                env=environment(**{LIFELINE: str(line)}, **variables),
            )
        except OSError as error:
            self._lifeline.close()
            raise Death(error) from error
        finally:
            os.close(line)

    def ask(
        self,
        header: dict[str, Any],
        body: bytes = b"",
        *,
        take: Callable[[IO[bytes]], tuple[dict[str, Any], T]],
        wait: Callable[[], None] = lambda: None,
        listener: Callable[[T], None] | None = None,
    ) -> tuple[dict[str, Any], T]:
        """Send a request; its answer.

        Args:
            take: Takes one message from a pipe, as `frames.receive` does; ValueError when it is none that may come.
            wait: Returns when there is something to take.
            listener: Called with the body of each message that is an event, and no answer yet.

        Raises:
            EdgekitError: What the process answered instead.
            Death: It died, or answered what makes no sense; it has ended.
        """
        from edgekit.runtime import frames  # numpy, which programs that start no child need not wait for

        requests, answers = self.process.stdin, self.process.stdout
        assert requests is not None and answers is not None
        with self._whole():
            frames.send(requests, header, body)
        wait()
        while True:
            with self._whole():
                told, content = take(answers)
                error = from_json(told["error"]) if "error" in told else None
            if error is not None:
                raise error
            if listener is None or "event" not in told:
                return told, content
            listener(content)

    def kill(self, *, gently: bool = False) -> int | None:
        """As `end`; *gently* gives it a while."""
        try:
            return end(self.process, _END_S if gently else 0.0)
        finally:
            self._lifeline.close()

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """A part of a request or of an answer is of no use to anybody."""
        try:
            yield
        except (BrokenPipeError, EOFError) as error:
            raise Death(self.kill(gently=True)) from error
        except ValueError as error:
            self.kill()
            raise Death(None) from error


def end(process: subprocess.Popen[Any], wait_s: float = 0.0) -> int | None:
    """End *process*, which has a group of its own, with all that it started; its status if it ends by itself within
    *wait_s*, as nothing more is asked of it. Twice is harmless."""
    import subprocess

    if not wait_s:  # what was half written would be waited for
        kill_group(process)
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
    try:
        return process.wait(wait_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        kill_group(process)
        process.wait()


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End *process* as `end`, without waiting for it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()


def which(name: str) -> str | None:
    """Path of the program called *name*, or None: as `shutil.which` finds it, but for the current folder.

    A *name* with a folder in it is that file, by its whole path.
    """
    import shutil

    if os.path.dirname(name):
        return shutil.which(os.path.abspath(name))
    return shutil.which(name, path=_search_path())


def environment(**more: str) -> dict[str, str]:
    """This process's environment with *more*, for a program that takes nothing from the current folder either.

    What it uses tells nobody of it (`UNTOLD`), unless the user has it otherwise.
    """
    kept = {**UNTOLD, **os.environ}
    if "PATH" in kept:
        kept["PATH"] = _search_path()
    if "PYTHONPATH" in kept:
        kept["PYTHONPATH"] = os.pathsep.join(filter(os.path.isabs, kept["PYTHONPATH"].split(os.pathsep)))
    return {**kept, **more}


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start *command*, whose first word is looked up as `which` does, in the `environment` unless *options* have one.

    Args:
        options: Of `subprocess.Popen`.

    Raises:
        OSError: There is no such program, or the system cannot start it.
    """
    import subprocess  # 30 modules, which a program that only loads a model need not wait for

    return subprocess.Popen(_found(command), **{"env": environment(), **options})


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run *command* to its end, with nothing on standard input; its output is text. Errors as `start`."""
    import subprocess

    usual = {"env": environment(), "stdin": subprocess.DEVNULL, "text": True, "errors": "replace", "check": False}
    done: subprocess.CompletedProcess[str] = subprocess.run(_found(command), **{**usual, **options})
    return done


def _found(command: Sequence[str]) -> list[str]:
    program = which(command[0])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return [program, *command[1:]]


def _search_path() -> str:
    """``PATH`` without the current folder, however it is written, unless it is one of the system's own."""
    try:
        here = os.path.realpath(os.curdir)
    except OSError:  # it was removed
        here = None
    system = (os.confstr("CS_PATH") or os.defpath).split(os.pathsep)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(
        folder for folder in folders if os.path.isabs(folder) and (folder in system or os.path.realpath(folder) != here)
    )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
