"""Child processes: the command line and the environment of every program that edgekit starts, here and nowhere else.

Python by itself takes modules from the current folder, and a ``PATH`` with ``.`` or an empty entry in it takes programs
from there. That folder is where people keep what they downloaded: nothing in it is ever run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import edgekit

if TYPE_CHECKING:
    import subprocess

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


def module(name: str, *arguments: str) -> list[str]:
    """The command line that runs edgekit's module *name* in this Python, in a process of its own."""
    return python("-c", _BOOT, _package(), name, *arguments)


def module_in(interpreter: Path | str, name: str, *arguments: str) -> list[str]:
    """The same in another Python, which has packages of its own.

    edgekit is handed over as a single package: its folder on ``PYTHONPATH`` would, in an ordinary install, bring this
    Python's numpy with it.
    """
    # -B: an environment is sealed, and new compiled modules would be a change.
    return [str(interpreter), *ISOLATED, "-B", "-c", _BOOT, _package(), name, *arguments]


def limited(command: Sequence[str], *, file_bytes: int, cpu_s: int) -> list[str]:
    """The command line that runs *command* with a bound on the files that it writes, and on the time it computes."""
    return python("-c", _LIMITS, str(file_bytes), str(cpu_s), *command)


class Child:
    """A process for messages over its pipes (see `edgekit.runtime.frames`), which ends with this one.

    It has a group of its own, so that the terminal's Ctrl-C does not reach it, and what it starts goes with it.
    """

    def __init__(self, command: Sequence[str], log: IO[Any]):
        """Start *command*, a module of edgekit's that calls `edgekit.runtime.confinement.confine`.

        Args:
            log: Takes what it prints on standard error.

        Raises:
            OSError: The system cannot start it.
        """
        import subprocess

        end, lifeline = os.pipe()
        try:
            self.process: subprocess.Popen[bytes] = start(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,
                pass_fds=(end,),
                env=environment(**{LIFELINE: str(end)}),
            )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(end)
        self._lifeline: int | None = lifeline

    def wait(self, timeout_s: float | None = None) -> int:
        """Its status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not.
        """
        status = self.process.wait(timeout_s)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        return status

    def kill(self) -> int:
        """End it with all that it started, now; its status. Twice is harmless."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return self.wait()


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


def _package() -> str:
    return str(Path(edgekit.__file__).parent.absolute())
