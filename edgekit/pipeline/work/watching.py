"""What the code that a worker runs reads: files, folders, variables of the environment, noted as it happens.

A compiler tells make what it has read, so that a change there is seen; this tells the cache. Python says of itself when
it opens or lists something (PEP 578). What a library opens in C alone (``cv2.imread``, HDF5, safetensors) it does not
see, nor what other programs read.
"""

from __future__ import annotations

import fcntl
import importlib.machinery
import json
import os
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote

#: One thing that was read: its kind (``file``, ``folder``, ``variable``, ``package``; ``directory``: the current one;
#: ``variables``: which there are), its name, and of a file what `stamp` gave just before it was opened.
Note = list[Any]

_PYTHON = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
#: Python, edgekit (see `edgekit.pipeline.work.cache.code_digest`), and what is no file on a disk.
_OWN = (*_PYTHON, f"{Path(__file__).parents[2]}{os.sep}", "/proc/", "/sys/", "/dev/")
#: A disk in memory, where people keep data that is read often.
_SHARED_MEMORY = "/dev/shm/"
_IMPORTS = ("<frozen importlib", "<frozen zipimport")
#: Packages count by their versions.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def stamp(path: str) -> list[int] | None:
    """What changes when a file is written to or replaced, however its times are set; None where there is none."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return [facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


class Watch:
    """Notes what this process reads, and the processes that fork from it."""

    def __init__(self) -> None:
        """Begin; it ends with the process."""
        # One file for all forks of this process, each of which adds whole lines to its end.
        self._journal = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        fcntl.fcntl(self._journal, fcntl.F_SETFL, fcntl.fcntl(self._journal, fcntl.F_GETFL) | os.O_APPEND)
        self._taken, self._rest, self._notes = 0, b"", dict[tuple[str, str], Note]()
        self._known: set[tuple[str, str]] = set()
        self._written: set[str] = set()
        self._began_in = os.getcwd()
        self._handlers: Mapping[str, Callable[..., None]] = {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            # A library in C: Python's own files are opened.
            "import": lambda module, path, *_: self._opened(path, "import", os.O_RDONLY) if path else None,
            "ctypes.dlopen": lambda name: self._opened(name, "dlopen", os.O_RDONLY) if name else None,
            "sqlite3.connect": self._connected,
        }
        sys.addaudithook(self._audit)
        self._watch_variables()
        _read_sources()

    def notes(self) -> list[Note]:
        """All that was read so far, each thing once; what is new comes last."""
        while block := os.pread(self._journal.fileno(), 1 << 20, self._taken):
            self._taken += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for kind, name, seen in map(json.loads, lines):
                self._notes.setdefault((kind, name), [kind, name, seen])
        return list(self._notes.values())

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        handler = self._handlers.get(event)
        if handler is None:
            return
        try:
            handler(*arguments)
        except (OSError, ValueError, TypeError):  # what is wrong with the call, Python will say itself
            return

    def _note(self, kind: str, name: str, seen: list[int] | None = None) -> None:
        if (kind, name) not in self._known:
            self._known.add((kind, name))
            os.write(self._journal.fileno(), json.dumps([kind, name, seen]).encode() + b"\n")

    def _opened(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, int):
            return
        given = os.fsdecode(path)
        path = _absolute(given)
        if _is_own(path):
            self._note_package(path)
            return
        found = stamp(path)
        if flags & os.O_TRUNC or (flags & os.O_CREAT and found is None):
            if ("file", path) not in self._known:
                self._written.add(path)  # what the code wrote before it reads it is its own
            return
        if flags & os.O_WRONLY:  # to add to it: what was in it is not the code's
            return
        if path in self._written:
            return
        if found is None:
            # Relative to a folder that the event does not name, as shutil.rmtree does; or a place to look for modules.
            if (mode is None and not os.path.isabs(given)) or _imports(_caller()):
                return
        elif not stat.S_ISREG(os.stat(path).st_mode):
            return
        self._note("file", path, found)
        self._note_directory(given)

    def _listed(self, path: Any) -> None:
        if isinstance(path, int) or _imports(_caller()):
            return
        given = "." if path is None else os.fsdecode(path)
        path = _absolute(given)
        if not _is_own(f"{path}{os.sep}"):
            self._note("folder", path)
            self._note_directory(given)

    def _connected(self, database: Any) -> None:
        name = os.fsdecode(database)
        if name.startswith("file:"):  # a URI: file:PATH?mode=ro, file:///PATH
            name = unquote(name[5:].partition("?")[0].partition("#")[0])
            if name.startswith("//"):
                name = f"/{name[2:].partition('/')[2]}"
        self._opened(name, "connect", os.O_RDONLY)

    def _note_package(self, path: str) -> None:
        """Where the user's code itself imports from an installed package, the package is read."""
        folder = next((part for part in _INSTALLED if part in path), None)
        if folder and path.endswith((".py", ".pyc", ".so")) and _is_users(_caller()):
            self._note("package", path.partition(folder)[2].partition(os.sep)[0].partition(".")[0])

    def _note_directory(self, given: str) -> None:
        """Where a name is relative, the folder that the process was started in is read, too."""
        if not os.path.isabs(given) and os.getcwd() == self._began_in:
            self._note("directory", "")

    def _watch_variables(self) -> None:
        environment, getcwd = type(os.environ), os.getcwd
        stock, names = environment.__getitem__, environment.__iter__

        def getitem(own: Any, name: Any) -> Any:
            if isinstance(name, (str, bytes)) and _is_users(_caller()):
                self._note("variable", os.fsdecode(name))
            return stock(own, name)

        def iterate(own: Any) -> Iterator[str]:
            if _is_users(_caller()):
                self._note("variables", "")
            return names(own)

        def current() -> str:
            found = getcwd()
            if found == self._began_in and _is_users(_caller()):
                self._note("directory", "")
            return found

        environment.__getitem__ = getitem  # type: ignore[method-assign]
        environment.__iter__ = iterate  # type: ignore[method-assign]
        os.getcwd = current


def _read_sources() -> None:
    """Have the user's modules read as source: compiled ones are believed by size, and by time to the second."""
    loader = importlib.machinery.SourceFileLoader
    stock = loader.path_stats

    def path_stats(own: importlib.machinery.SourceFileLoader, path: str) -> Mapping[str, Any]:
        if not _is_own(path):
            raise OSError("nothing to compare a compiled module with")  # so there is none (importlib.abc.SourceLoader)
        return stock(own, path)

    loader.path_stats = path_stats  # type: ignore[assignment,method-assign]


def _absolute(given: str) -> str:
    path = os.path.abspath(given)
    return os.path.realpath(given) if os.pardir in Path(given).parts else path  # a link's parent is elsewhere


def _is_own(path: str) -> bool:
    return (path.startswith(_OWN) and not path.startswith(_SHARED_MEMORY)) or any(part in path for part in _INSTALLED)


def _caller() -> FrameType | None:
    """The innermost frame that is not of this module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame


def _imports(frame: FrameType | None) -> bool:
    """Whether Python looks for modules, or for packages, in *frame*. What it finds and loads is opened then.

    Where the user's own code asks `pkgutil` what there is, the answer counts.
    """
    while frame is not None and _is_pythons(frame):
        name = frame.f_code.co_filename
        if name.startswith(_IMPORTS) or f"{os.sep}importlib{os.sep}" in name:
            return True
        if name.endswith("pkgutil.py"):
            return not _is_users(frame)
        frame = frame.f_back
    return False


def _is_users(frame: FrameType | None) -> bool:
    """Whether *frame* is of the user's code, or of the standard library and called by that."""
    while frame is not None and _is_pythons(frame):
        frame = frame.f_back
    return frame is not None and not _is_own(frame.f_code.co_filename)


def _is_pythons(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.startswith(("<frozen", *_PYTHON)) and not any(part in name for part in _INSTALLED)
