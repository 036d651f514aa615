"""Digests of files and folders, whatever lies there: a link to nothing, a pipe or a locked file stops nobody."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgekit.bundle import SUFFIX
from edgekit.digests import file_sha256


def path_digest(path: Path) -> str:
    """SHA-256 of the file at *path*; of what is no file, or cannot be read, a word that says so. Never waits."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return f"no file, a link to {os.readlink(path)!r}" if os.path.islink(path) else "no file"
    if not stat.S_ISREG(mode):
        return "no file, a folder" if stat.S_ISDIR(mode) else "no file, a device or pipe"
    try:
        return file_sha256(path)
    except OSError as error:
        return f"not read: {error.strerror}"


def tree_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files, and of all files in directories, links followed.

    What is there and no file (a link to nothing, a pipe), or cannot be read, counts as that.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        for name, file in _files(path):
            digest.update(json.dumps([name, path_digest(file)]).encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """What counts in the folder *path*, by its name there; or *path* itself, by its own."""
    if not os.path.isdir(path):
        yield path.name, path
        return
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if _counts(name))
        for name in sorted(filter(_counts, files)):
            file = Path(folder, name)
            yield str(file.relative_to(path)), file


def _counts(name: str) -> bool:
    """Whether a file or folder says something: hidden ones, compiled Python and bundles do not."""
    return not name.startswith(".") and name != "__pycache__" and not name.endswith((".pyc", SUFFIX))
