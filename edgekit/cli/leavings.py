"""What a command would leave on this machine: temporary files and processes, its own and those of what it starts."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

#: Where temporary files may lie, as `tempfile` has it.
_VARIABLES, _USUAL = ("TMPDIR", "TEMP", "TMP"), ("/tmp", "/var/tmp")
#: A process may start another while it is ended, and write a file while its folder is removed.
_TRIES = 3


class Leavings:
    """A folder for the temporary files of this process and of all that it starts, and the end of both.

    Processes that are killed, as converters and engines are when a command stops, cannot remove their own.
    """

    def __init__(self) -> None:
        """Make the folder, and have ``TMPDIR`` name it. Where none can be made, files lie where they would."""
        self._folder: str | None = None
        folders = [os.environ.get(name) for name in _VARIABLES]
        for name in filter(None, (*folders, *_USUAL)):
            folder = os.path.join(os.path.abspath(name), f"edgekit-{os.urandom(4).hex()}")
            with suppress(OSError):
                os.mkdir(folder, 0o700)
                self._folder, os.environ["TMPDIR"] = folder, folder
                return

    def keep(self, path: str) -> str:
        """Where *path* is to be found when everything is cleared: moved out of the folder, if it is there."""
        if self._folder is None or os.path.dirname(path) != self._folder:
            return path
        kept = os.path.join(os.path.dirname(self._folder), os.path.basename(path))
        with suppress(OSError):
            os.rename(path, kept)
            return kept
        return path

    def clear(self, processes: bool = True) -> None:
        """Remove the folder, after ending all *processes* that this one has started and that they have.

        What a process has started that ended before it (a daemon, as adb's) is none of them.
        """
        for _ in range(_TRIES):
            if processes:
                for pid in _descendants():
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            if self._folder is None or _removed(self._folder):
                return


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _descendants() -> list[int]:
    """Every process below this one; none where the system does not tell (``/proc``)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything: what follows is the state and the parent.
            parent = int(entry.read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
