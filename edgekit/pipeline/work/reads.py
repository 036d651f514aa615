"""What went into a stage beside its key: the files, folders, packages and variables that its code read."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from edgekit.bundle import SUFFIX
from edgekit.pipeline.work.digests import path_digest
from edgekit.pipeline.work.versions import versions
from edgekit.pipeline.work.watching import Note, stamp

#: Kind and name. Paths in the origin's folder are relative to it, so that it may be moved; all others are absolute.
Key = tuple[str, str]

#: What a damaged file of JSON raises.
_DAMAGED = (OSError, ValueError, TypeError, RecursionError)

#: As many lists of what was read are kept for a stage: which files it reads may depend on a variable, say.
_MOST_KNOWN = 8

#: Of a file that changed after it was read: it is no file's hash.
_CHANGED = "changed while it was read"


class Reads:
    """What was read, and the hash of each thing; None for what was looked for and not there."""

    def __init__(self, home: Path, found: Mapping[Key, str | None] = {}):
        """*home* is the origin's folder."""
        self._home = home
        self._found = dict(found)

    @classmethod
    def load(cls, path: Path, home: Path) -> Reads:
        """As `save` wrote it; nothing where that is missing or damaged."""
        try:
            entries = json.loads(path.read_bytes())
            return cls(home, {(str(kind), str(name)): digest for kind, name, digest in entries})
        except _DAMAGED:
            return cls(home)

    def save(self, path: Path) -> None:
        _write(path, [[*key, digest] for key, digest in self._found.items()])

    @classmethod
    def load_known(cls, index: Path, home: Path) -> list[Reads]:
        """What was read by the runs that *index* knows, the last one first; nothing, where there is none."""
        try:
            runs = json.loads(index.read_bytes())
            return [cls(home, {(str(kind), str(name)): None for kind, name in run}) for run in runs] or [cls(home)]
        except _DAMAGED:
            return [cls(home)]

    def add_to(self, index: Path) -> None:
        """Have *index* know of what this run has read, first of all."""
        last, *others = (sorted(each._found) for each in (self, *self.load_known(index, self._home)))
        index.parent.mkdir(exist_ok=True)
        _write(index, [last, *(each for each in others if each != last)][:_MOST_KNOWN])

    def note(self, notes: Iterable[Note], but: Path) -> None:
        """Add what a worker noted (see `edgekit.pipeline.work.watching`), except what lies in the folder *but*."""
        for kind, name, seen in notes:
            on_disk = kind in ("file", "folder")
            key = kind, self._short(name) if on_disk else name
            if key in self._found or (on_disk and (Path(name).is_relative_to(but) or _has_passed(kind, name, seen))):
                continue
            digest = self._digest(*key)
            if kind == "file" and stamp(name) != seen:
                digest = _CHANGED
            self._found[key] = digest

    def now(self) -> Reads:
        """The same things, as they are now."""
        return Reads(self._home, {key: self._digest(*key) for key in self._found})

    def hold(self) -> bool:
        """Whether everything is as it was."""
        return self._found == self.now()._found

    @property
    def digest(self) -> str:
        """SHA-256 of it all."""
        return hashlib.sha256(
            json.dumps(sorted((*key, digest or "") for key, digest in self._found.items())).encode()
        ).hexdigest()

    def _short(self, name: str) -> str:
        path = Path(name)
        return str(path.relative_to(self._home)) if path.is_relative_to(self._home) else name

    def _digest(self, kind: str, name: str) -> str | None:
        if kind == "variable":
            value = os.environ.get(name)
            return None if value is None else hashlib.sha256(os.fsencode(value)).hexdigest()
        if kind == "variables":
            return hashlib.sha256(b"=".join(sorted(map(os.fsencode, os.environ)))).hexdigest()
        if kind == "package":
            return str(sorted(versions(_distributions().get(name, ())).items()))
        if kind == "directory":
            return self._short(os.getcwd())
        return _known_digest(self._home / name) if kind == "file" else self._listing(self._home / name)

    def _listing(self, folder: Path) -> str | None:
        try:
            names = sorted(map(os.fsencode, os.listdir(folder)))
        except OSError:
            return None
        left = {b"build"} if folder == self._home else set()  # what edgekit leaves there
        counted = [name for name in names if not name.startswith((b".", b"__pycache__")) and name not in left]
        return hashlib.sha256(b"/".join(name for name in counted if not name.endswith(SUFFIX.encode()))).hexdigest()


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """What pip calls the packages, by their own names."""
    return metadata.packages_distributions()


def _has_passed(kind: str, name: str, seen: object) -> bool:
    """Whether that was a temporary file or folder, and is gone."""
    was_there = kind == "folder" or seen is not None
    return was_there and name.startswith(tempfile.gettempdir()) and not os.path.exists(name)


def _write(path: Path, value: object) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(value), encoding="utf-8")
    os.replace(part, path)


#: By path and stamp: several stages read the same data.
_KNOWN: dict[tuple[str, str], str] = {}


def _known_digest(path: Path) -> str | None:
    seen = stamp(str(path))
    if seen is None:
        return None
    key = str(path), str(seen)
    if key not in _KNOWN:
        _KNOWN[key] = path_digest(path)
    return _KNOWN[key]
