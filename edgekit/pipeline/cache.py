"""The cache: what a stage made, kept by the content of everything it was made from.

An entry is a folder that appears whole, by one rename. Work in progress lives beside it under the same key,
so that a stage that can resume (training) finds its checkpoints after a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit.bundle import SUFFIX, canonical_json, write_error

_RECORD = "record.json"

#: The oldest entries are dropped when the cache grows beyond this.
_MAX_BYTES = 20 << 30


@dataclass(frozen=True)
class Entry:
    """What a stage left: its folder, the record it returned, and whether it was there before."""

    directory: Path
    record: Mapping[str, Any]
    digest: str
    cached: bool

    def path(self, name: str) -> str:
        return str(self.directory / name)


class Cache:
    """A folder of entries, shared by all projects of a user (``$EDGEKIT_CACHE``, else ``~/.cache/edgekit``)."""

    def __init__(self, root: Path, fresh: bool = False):
        self.root = root
        self._fresh = fresh

    @classmethod
    def default(cls, fresh: bool = False) -> Cache:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(Path(os.environ.get("EDGEKIT_CACHE") or Path(home).expanduser() / "edgekit"), fresh)

    def stage(
        self,
        name: str,
        key: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any]],
        resumable: bool = False,
    ) -> Entry:
        """The entry for *key*, made by *make* if it is not there.

        *make* gets a folder to leave files in and returns a record of plain values. Two builds that want the
        same entry at the same time make it once. What *make* raises passes through and leaves no entry.
        """
        digest = hashlib.sha256(canonical_json({"stage": name, **key})).hexdigest()
        final = self.root / name / digest[:32]
        partial = self.root / "partial" / f"{name}-{digest[:32]}"
        try:
            with self._locked(partial.name):
                found = _read_entry(final)
                if found is not None and not self._fresh:
                    os.utime(final)
                    return Entry(final, found["record"], found["digest"], cached=True)
                if not resumable or self._fresh:
                    shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True, exist_ok=True)
                record = make(partial)
                contents = hashlib.sha256(canonical_json({"record": record, "files": _hashes(partial)})).hexdigest()
                facts = {"record": record, "digest": contents, "files": _sizes(partial)}
                (partial / _RECORD).write_bytes(canonical_json(facts))
                shutil.rmtree(final, ignore_errors=True)
                final.parent.mkdir(parents=True, exist_ok=True)
                os.rename(partial, final)
                return Entry(final, record, contents, cached=False)
        except OSError as error:
            raise write_error(final, error) from error

    def prune(self) -> None:
        """Drop the entries that were not used for longest until the cache fits its limit."""
        entries = [path.parent for path in self.root.glob(f"*/*/{_RECORD}")]
        sized = sorted((path.stat().st_mtime, sum(_sizes(path).values()), path) for path in entries)
        total = sum(size for _, size, _ in sized)
        for _, size, path in sized:
            if total <= _MAX_BYTES:
                return
            shutil.rmtree(path, ignore_errors=True)
            total -= size

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read_entry(final: Path) -> dict[str, Any] | None:
    """The facts of a whole entry; None for none, or one whose files are not what they were."""
    try:
        facts: dict[str, Any] = json.loads((final / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    sizes = _sizes(final)
    sizes.pop(_RECORD)
    return facts if sizes == facts.get("files") else None


def _sizes(directory: Path) -> dict[str, int]:
    return {
        path.relative_to(directory).as_posix(): path.stat().st_size
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _hashes(directory: Path) -> dict[str, str]:
    return {name: file_digest(directory / name) for name in _sizes(directory)}


def file_digest(path: Path) -> str:
    """SHA-256 of a file's contents."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files, and of all files in directories."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        files = sorted(p for p in path.rglob("*") if p.is_file() and _counts(p, path)) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path).as_posix() if path.is_dir() else path.name
            digest.update(f"{name}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()


def _counts(file: Path, root: Path) -> bool:
    """Whether a file says something: hidden files, compiled Python and bundles do not."""
    parts = file.relative_to(root).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not hidden and not file.name.endswith((".pyc", SUFFIX))


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed version by package; None for a package that is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


@functools.cache
def code_digest(*parts: str) -> str:
    """SHA-256 of parts of edgekit's own code (``pipeline/training``): changed code makes new entries."""
    package = Path(__file__).parent.parent
    return tree_digest(package / part for part in parts)
