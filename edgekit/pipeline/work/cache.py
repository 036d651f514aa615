"""The cache: what a stage made, kept by the content of everything it was made from.

That is the stage's key, and what its code read while it ran, as a worker notes it (`edgekit.pipeline.work.watching`):
for each key there is an index of what was read when it was made. An entry is a folder that appears whole, by one
rename, and is believed by its hash. Work in progress lives beside it under the same key, so that a stage that can
resume (training) finds its checkpoints after a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.documents import canonical_json
from edgekit.errors import UsageError
from edgekit.pipeline.work.digests import path_digest, tree_digest
from edgekit.pipeline.work.reads import Reads
from edgekit.private import private_folder
from edgekit.writing import write_error

_RECORD = "record.json"
#: What was read for an entry (see `edgekit.pipeline.work.reads`), written by who makes it; while it is made, so far.
READS = "reads.json"

#: The oldest entries are dropped when the cache grows beyond this.
_MAX_BYTES = 20 << 30


@dataclass(frozen=True)
class Entry:
    """What a stage left.

    Attributes:
        directory: The folder with its files.
        record: What it returned.
        digest: SHA-256 of record and files.
        made_from: SHA-256 of everything it was made from.
        cached: Whether it was there before.
    """

    directory: Path
    record: Mapping[str, Any]
    digest: str
    made_from: str
    cached: bool

    def path(self, name: str) -> str:
        return str(self.directory / name)


class Cache:
    """A folder of entries, shared by all projects of a user."""

    def __init__(self, root: Path, fresh: bool = False):
        self.root = root
        self._fresh = fresh
        self._intact: dict[Path, Entry] = {}

    @classmethod
    def default(cls, fresh: bool = False) -> Cache:
        """The one in ``$EDGEKIT_CACHE``, else ``~/.cache/edgekit``, closed to other users.

        Raises:
            EdgekitError: ``EK-FOREIGN``, ``EK-WRITE``: as `edgekit.private.private_folder`.
        """
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = Path(os.environ.get("EDGEKIT_CACHE") or Path(home).expanduser() / "edgekit").absolute()
        if folder.exists() and not folder.is_dir():
            raise UsageError("EK-WRITE", f"{folder} is no folder", "choose a folder for the cache: $EDGEKIT_CACHE")
        return cls(private_folder(folder), fresh)

    def stage(
        self,
        name: str,
        key: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any]],
        resumable: bool = False,
        home: Path = Path("/"),
        damaged: Callable[[], None] = lambda: None,
    ) -> Entry:
        """The entry for *key* and what was read for it, made by *make* if it is not there.

        Two builds that want the same entry at the same time make it once. What *make* raises passes through and leaves
        no entry.

        Args:
            make: Gets a folder to leave files in, and `READS` where it reads what is not in *key*; returns a record of
                plain values.
            resumable: Whether *make* may find what it left in the folder when it was stopped, with nothing changed of
                what it had read.
            home: The folder of what is built; it may be moved.
            damaged: Called when there is an entry that is not as it was left; it is made anew.
        """
        base = hashlib.sha256(canonical_json({"stage": name, **key})).hexdigest()
        index = self.root / "reads" / f"{name}-{base[:32]}.json"
        partial = self.root / "partial" / f"{name}-{base[:32]}"
        try:
            with self._locked(partial.name):
                for reads in [] if self._fresh else Reads.load_known(index, home):
                    found = self._entry(name, base, reads.now(), damaged)
                    if found is not None:
                        _touch(found.directory, index)
                        return found
                if not resumable or self._fresh or not Reads.load(partial / READS, home).hold():
                    _remove(partial)
                partial.mkdir(parents=True, exist_ok=True)
                record = make(partial)
                return self._keep(name, base, partial, record, index, home)
        except OSError as error:
            raise write_error(partial, error) from error

    def _keep(self, name: str, base: str, partial: Path, record: Mapping[str, Any], index: Path, home: Path) -> Entry:
        """Make the finished work in *partial* an entry."""
        reads = Reads.load(partial / READS, home)
        contents, made_from = _contents(record, partial), _made_from(base, reads)
        (partial / _RECORD).write_bytes(canonical_json({"record": record, "digest": contents}))
        final = self._directory(name, made_from)
        self._intact.pop(final, None)
        _remove(final)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.rename(partial, final)
        reads.add_to(index)
        self._intact[final] = Entry(final, record, contents, made_from, cached=True)
        return Entry(final, record, contents, made_from, cached=False)

    def _entry(self, name: str, base: str, reads: Reads, damaged: Callable[[], None]) -> Entry | None:
        """The entry that was made from this; None for none, or one that is not as it was left."""
        made_from = _made_from(base, reads)
        directory = self._directory(name, made_from)
        if directory not in self._intact and os.path.lexists(directory):
            try:
                facts = json.loads((directory / _RECORD).read_bytes())
                record, digest = dict(facts["record"]), str(facts["digest"])
                intact = _contents(record, directory) == digest
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                intact = False
            if not intact:
                damaged()
                return None
            self._intact[directory] = Entry(directory, record, digest, made_from, cached=True)
        return self._intact.get(directory)

    def _directory(self, name: str, made_from: str) -> Path:
        return self.root / name / made_from[:32]

    def prune(self) -> None:
        """Drop the entries that were not used for longest until the cache fits its limit."""
        kept = [*(path.parent for path in self.root.glob(f"*/*/{_RECORD}")), *self.root.glob("reads/*.json")]
        sized = []
        for path in kept:
            with contextlib.suppress(OSError):  # another build drops the same
                size = sum(each.lstat().st_size for each in (path, *path.rglob("*")) if not each.is_dir())
                sized.append((path.stat().st_mtime, size, path))
        total = sum(size for _, size, _ in sized)
        for _, size, path in sorted(sized):
            if total <= _MAX_BYTES:
                return
            with contextlib.suppress(OSError):
                _remove(path)
            total -= size

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _made_from(base: str, reads: Reads) -> str:
    return hashlib.sha256(canonical_json({"key": base, "reads": reads.digest})).hexdigest()


def _contents(record: Mapping[str, Any], directory: Path) -> str:
    """SHA-256 of an entry's record and files."""
    files = (path for path in sorted(directory.rglob("*")) if not path.is_dir())
    hashes = {path.relative_to(directory).as_posix(): path_digest(path) for path in files}
    own = {name: digest for name, digest in hashes.items() if name not in (_RECORD, READS)}
    return hashlib.sha256(canonical_json({"record": record, "files": own})).hexdigest()


def _touch(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)


def _remove(path: Path) -> None:
    """Remove what is at *path*, whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@functools.cache
def code_digest(*parts: str) -> str:
    """SHA-256 of parts of edgekit's own code (``pipeline/training``): changed code makes new entries."""
    package = Path(__file__).parents[2]
    return tree_digest(package / part for part in parts)
