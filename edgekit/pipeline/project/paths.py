"""Where a build reads and writes: what will not do is refused before it takes time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edgekit.errors import UsageError

#: Of a model file. Devices have less memory than that.
_MOST_MODEL_BYTES = 16 << 30
#: Free disk that a build wants before it starts, for its cache and for the bundle.
_NEEDED_BYTES = 500 << 20


def check_readable(path: Path) -> None:
    """Raise `UsageError` unless *path*, which is there, is a file or folder that can be read, with a name in UTF-8."""
    check_name(path)
    if not (path.is_file() or path.is_dir()):
        raise UsageError("EK-MISSING-FILE", f"{path} is a pipe, socket or device", "name a file or a folder")
    if not os.access(path, os.R_OK):
        raise UsageError("EK-MISSING-FILE", f"{path} cannot be read: Permission denied", f"chmod u+r {path}")


def check_name(path: Path) -> None:
    """Raise `UsageError` unless the path is UTF-8: frameworks take no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError("EK-ARGUMENT", f"{shown} is not UTF-8", "rename that file or folder") from None


def check_size(path: Path) -> None:
    """Raise `UsageError` where the model file or folder at *path* is larger than any that a device could run."""
    files = path.rglob("*") if path.is_dir() else (path,)
    size_bytes = sum(file.stat().st_size for file in files if file.is_file())
    if size_bytes > _MOST_MODEL_BYTES:
        message = f"{path} has {size_bytes >> 30:,} GiB, which no device that edgekit builds for could run"
        raise UsageError("EK-SOURCE", message, "check that the file is whole, and the one that you mean")


def check_destination(destination: Path) -> None:
    """Raise `UsageError` where a file *destination*, and the folders above it, cannot be made (``EK-WRITE``)."""
    hint = "choose another folder with --out"
    try:
        path = Path(os.path.realpath(destination))
        if loop := next((above for above in (path, *path.parents) if above.is_symlink()), None):
            raise UsageError("EK-WRITE", f"{loop} is a link that leads back to itself", hint)
        if path.is_dir():
            raise UsageError("EK-WRITE", f"{destination} is a folder: the bundle would take its place", hint)
        if path.exists() and not path.is_file():
            raise UsageError("EK-WRITE", f"{destination} is a pipe, socket or device", hint)
        folder = _existing(path.parent)
        longest = os.pathconf(folder, "PC_NAME_MAX")
    except OSError as error:
        what = f"{str(destination)[:80]} cannot be written: {error.strerror or error}"
        raise UsageError("EK-WRITE", what, hint) from error
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        raise UsageError("EK-WRITE", f"{str(destination)[:80]}… is too long for the name of a file", hint)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        reason = "you may not write there" if folder.is_dir() else "it is no folder"
        raise UsageError("EK-WRITE", f"the bundle cannot be written below {folder}: {reason}", hint)


def check_space(*folders: Path) -> None:
    """Raise `UsageError` (``EK-SPACE``) where a disk has not the space that a build wants."""
    for folder in folders:
        path = _existing(folder.absolute())
        free = shutil.disk_usage(path).free
        if free < _NEEDED_BYTES:
            needed = f"a build wants {_NEEDED_BYTES >> 20} MB"
            message = f"only {free >> 20} MB are free at {path}, {needed}"
            raise UsageError("EK-SPACE", message, "free some, or set EDGEKIT_CACHE and --out")


def _existing(folder: Path) -> Path:
    """*folder*, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
