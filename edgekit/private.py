"""What edgekit keeps on this machine: folders of this user alone, and seals that tell whether what is there changed.

Whatever is run or loaded from such a folder was built or downloaded once and is trusted later. So nobody else may have
put it there: a folder of another user's, or one that others can write to, is refused. And it has to be what was made:
its hash is noted beside it when it is complete, and compared before it is used.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit import digests
from edgekit.digests import file_sha256
from edgekit.errors import EdgekitError, UsageError

_ELSEWHERE = "choose a folder of your own: $EDGEKIT_HOME, $EDGEKIT_CACHE"
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: What was found intact in this process, with its seal's time: large environments are not hashed twice.
_INTACT: dict[tuple[str, int], str] = {}


def home() -> Path:
    """Where edgekit keeps what it was told to install: ``$EDGEKIT_HOME``, or ``~/.local/share/edgekit``.

    Raises:
        UsageError: ``EK-FOREIGN``: that is another user's, or others can write there.
    """
    folder = Path(os.environ.get("EDGEKIT_HOME") or Path.home() / ".local" / "share" / "edgekit")
    check_private(folder)
    return folder


def private_folder(path: Path) -> Path:
    """*path* as a folder of this user's, closed to everybody else (0700); made, with what is missing above it.

    Raises:
        UsageError: ``EK-FOREIGN``: as `check_private`.
        EdgekitError: ``EK-WRITE``: it cannot be made.
    """
    try:
        for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        check_private(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise EdgekitError("EK-WRITE", f"{path} cannot be made: {error.strerror or error}", _ELSEWHERE) from error
    return path


def check_private(path: Path) -> None:
    """Refuse a folder in which somebody else may have put things; one that is not there is nobody's.

    Raises:
        UsageError: ``EK-FOREIGN``: it belongs to another user, or others can write there; ``EK-WRITE``: there is no way
            to it.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError("EK-WRITE", f"{path} cannot be reached: {error.strerror or error}", _ELSEWHERE) from error
    if facts.st_uid != os.geteuid():
        raise UsageError("EK-FOREIGN", f"{path} belongs to another user (uid {facts.st_uid})", _ELSEWHERE)
    if facts.st_mode & _OTHERS:
        hint = f"chmod go-w {path}  and remove what you do not know there"
        raise UsageError("EK-FOREIGN", f"other users can write to {path}", hint)


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Make the private *folder*; one process or thread of edgekit's at a time is at work there, and the others wait.
    Raises as `private_folder`."""
    import fcntl

    try:
        lock = (private_folder(folder) / "lock").open("w")
    except OSError as error:
        raise EdgekitError("EK-WRITE", f"{folder} cannot be written: {error.strerror}", _ELSEWHERE) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@contextmanager
def making(destination: Path) -> Iterator[Path]:
    """A path where to make what becomes *destination* when the block ends well, and is sealed. What is there is
    replaced: it was left by somebody who was interrupted before it was sealed."""
    import tempfile

    private_folder(destination.parent)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as folder:
        fresh = Path(folder, "new")
        yield fresh
        if destination.exists():
            destination.rename(Path(folder, "old"))
        seal(fresh, destination=destination)
        fresh.rename(destination)


def seal(path: Path, made_of: object = None, destination: Path | None = None) -> None:
    """Note what the file or folder at *path* is now, so that `is_sealed` knows it again.

    Args:
        made_of: What it was made of, as JSON has it: `is_sealed` compares that, too.
        destination: Where it will be moved next.
    """
    record = _record(path if destination is None else destination)
    written = record.with_name(f".{record.name}.{os.getpid()}")
    written.write_text(json.dumps({"sha256": tree_digest(path), "made_of": made_of}, sort_keys=True), encoding="utf-8")
    os.replace(written, record)


def has_seal(path: Path, made_of: object = None) -> bool:
    """Whether *path* was made to its end, of *made_of*. Before it is used, ask `is_sealed`."""
    return _sealed_digest(path, made_of) is not None


def is_sealed(path: Path, made_of: object = None) -> bool:
    """Whether *path* was made to its end, of *made_of*, and is to the last byte what it was then.

    Raises:
        EdgekitError: ``EK-FOREIGN``: it was changed.
    """
    sealed = _sealed_digest(path, made_of)
    if sealed is None:
        return False
    key = str(path), _record(path).stat().st_mtime_ns
    if _INTACT.get(key) != sealed:
        if _found_digest(path) != sealed:
            hint = f"rm -r {path}  and it is made anew"
            raise EdgekitError("EK-FOREIGN", f"{path} is not as edgekit left it, and is not used", hint)
        _INTACT[key] = sealed
    return True


def unseal(path: Path) -> None:
    """Forget what *path* was: it is about to be changed."""
    with suppress(OSError):
        _record(path).unlink()


def tree_digest(path: Path) -> str:
    """SHA-256 over the file at *path*, or over the names, kinds and contents of everything in that folder."""
    digest = digests.new()
    for name, kind, contents in _entries(path):
        digest.update(f"{len(name)} {name} {kind} {contents}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, kind and hash (of a link: where it leads) of each file, in one order; folders show by what is in them."""
    if not path.is_dir():
        yield "", "file", file_sha256(path)
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            whole = os.path.join(folder, name)
            shown, mode = os.path.relpath(whole, path), os.lstat(whole).st_mode
            if stat.S_ISLNK(mode):
                yield shown, "link", os.readlink(whole)
            elif stat.S_ISREG(mode):
                yield shown, "file", file_sha256(whole)
            else:
                yield shown, "other", ""


def _sealed_digest(path: Path, made_of: object) -> str | None:
    try:
        document = json.loads(_record(path).read_text(encoding="utf-8"))
        fits = document["made_of"] == made_of and path.exists()
        return str(document["sha256"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _found_digest(path: Path) -> str | None:
    try:
        return tree_digest(path)
    except OSError:  # what was made could be read
        return None


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")
