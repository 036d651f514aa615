"""The bundle: what goes down to a device.

A bundle is a directory, or the same files as one uncompressed zip (``NAME.edgekit``): ``manifest.json``,
``variants/``, ``checks/`` and whatever else the manifest lists. Nothing is handed out before its size and
SHA-256 were compared with the manifest, and the manifest with its own SHA-256 and this schema. So no byte of a
bundle can change without being noticed. That is no signature: whoever makes a whole new bundle is not found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import archive, arrays
from edgekit.archive import Archive, ArchiveError
from edgekit.arrays import ArrayError
from edgekit.digests import sha256
from edgekit.errors import BundleError, EdgekitError
from edgekit.foreign import foreign
from edgekit.manifest import MANIFEST, Manifest, brief, manifest_bytes, parse_manifest
from edgekit.writing import replacing

SUFFIX = ".edgekit"

#: A manifest larger than this is not read; a real one has a few kilobytes.
_MAX_MANIFEST_BYTES = 4 << 20


class Bundle:
    """An opened, verified bundle. Use `open`; close it, or use it as a context manager."""

    def __init__(self, path: Path, manifest: Manifest, archive: Archive | None):
        self.path = path
        self.manifest = manifest
        self._archive = archive

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open the bundle at *path* and check its manifest and the size of every file.

        Contents are hashed when they are read (`read`), or all at once (`verify`).

        Raises:
            BundleError: Not a bundle, damaged, or made for a newer edgekit.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / MANIFEST).is_file():
                raise _foreign(path) or BundleError(
                    "EK-BUNDLE", f"{path} has no {MANIFEST}", "edgekit build makes a bundle"
                )
            bundle = cls(path, _PENDING, None)
        elif path.is_file():
            try:
                bundle = cls(path, _PENDING, Archive(path))
            except (ArchiveError, OSError) as error:
                raise _foreign(path) or _broken(path, f"is not a bundle ({error})") from error
        else:
            raise _missing(path)
        try:
            present = bundle._listing()
            bundle.manifest = bundle._read_manifest()
            bundle._check_listing(present)
        except BaseException:
            bundle.close()
            raise
        return bundle

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()

    def read(self, file: str) -> bytes:
        """The contents of *file*, after its size and SHA-256 were found right."""
        expected = self.manifest.files.get(file)
        if expected is None:
            raise BundleError("EK-BUNDLE", f"{self.path}: the manifest does not list {file!r}")
        data = self._raw(file, expected["size_bytes"])
        if len(data) != expected["size_bytes"] or sha256(data) != expected["sha256"]:
            raise _broken(self.path, f"is damaged: {file} does not match its hash")
        return data

    def array(self, file: str) -> np.ndarray:
        """The numpy array stored in *file* (``.npy``, never pickled objects)."""
        data = self.read(file)
        try:
            return arrays.from_npy(data)
        except ArrayError as error:
            raise _broken(self.path, f"is damaged: {file} holds no array ({error})") from error

    def check_vectors(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Check inputs and the float reference's outputs by tensor name, samples first."""
        checks = self.manifest.checks
        inputs = {name: self.array(file) for name, file in checks["inputs"].items()}
        return inputs, {name: self.array(file) for name, file in checks["outputs"].items()}

    def verify(self) -> None:
        """Hash every file. Raises `BundleError` for the first that differs."""
        for file in self.manifest.files:
            self.read(file)

    def _raw(self, file: str, size_bytes: int) -> bytes:
        """The contents of *file*, or so much of it that it is seen to have more than *size_bytes*."""
        try:
            if self._archive is not None:
                if self._archive.entries[file].size_bytes > size_bytes:
                    raise ArchiveError(f"it has more than {size_bytes} bytes")
                return self._archive.read(file)
            with (self.path / file).open("rb") as stream:
                return stream.read(size_bytes + 1)
        except (OSError, KeyError, ValueError) as error:
            raise _broken(self.path, f"is damaged: {file} cannot be read ({error})") from error

    def _read_manifest(self) -> Manifest:
        data = self._raw(MANIFEST, _MAX_MANIFEST_BYTES)
        if len(data) > _MAX_MANIFEST_BYTES:
            raise _broken(self.path, "has a manifest of more than 4 MiB")
        try:
            return parse_manifest(data)
        except EdgekitError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _broken(self.path, f"has a manifest that does not fit the schema ({brief(error)})") from error

    def _check_listing(self, present: dict[str, int]) -> None:
        """Every listed file is there in the listed size, and nothing else is there."""
        expected = {file: int(facts["size_bytes"]) for file, facts in self.manifest.files.items()}
        order = list(present)
        present.pop(MANIFEST, None)
        for file, size in expected.items():
            found = present.get(file, "none")
            if found != size:
                raise _broken(self.path, f"is damaged: {file} should have {size} bytes, has {found}")
        extra = sorted(present.keys() - expected.keys())
        if extra:
            raise _broken(self.path, f"holds a file that the manifest does not list: {extra[0]!r}")
        if self._archive is not None and order != [MANIFEST, *sorted(expected)]:
            raise _broken(self.path, "has its files in another order than a bundle")

    def _listing(self) -> dict[str, int]:
        """Size of each file there. In a directory, links and what is no file are refused."""
        if self._archive is not None:
            return {name: entry.size_bytes for name, entry in self._archive.entries.items()}
        present: dict[str, int] = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if path.is_symlink():
                raise _broken(self.path, f"holds a link: {name!r}")
            if path.is_file():
                present[name] = path.stat().st_size
            elif not path.is_dir():
                raise _broken(self.path, f"holds {name!r}, which is no file")
        return present


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], destination: Path) -> Manifest:
    """Write a bundle beside *destination* and rename it into place.

    The manifest's ``files`` are filled in from *files*. A reader sees the old bundle or the new one,
    never a part, and never one that cannot be opened. The same contents give the same bytes (see `edgekit.archive`).

    Raises:
        BundleError: What was written is no bundle: *manifest* and *files* do not fit the schema, or each other.
        EdgekitError: The disk is full (``EK-SPACE``), or the path cannot be written, or *files* are too large
            (``EK-WRITE``).
    """
    facts = {name: {"size_bytes": len(data), "sha256": sha256(data)} for name, data in sorted(files.items())}
    manifest = Manifest(**{**vars(manifest), "files": facts})
    entries = {MANIFEST: manifest_bytes(manifest), **dict(sorted(files.items()))}
    with replacing(destination) as temporary:
        with temporary.open("wb") as stream:
            try:
                archive.write(entries, stream)
            except ValueError as error:
                raise EdgekitError(
                    "EK-WRITE", f"cannot write {destination}: {error}", "build fewer variants"
                ) from error
        _read_back(temporary, destination)
    return manifest


def _read_back(written: Path, destination: Path) -> None:
    """Nobody is told of a bundle that cannot be read."""
    try:
        with Bundle.open(written) as bundle:
            bundle.verify()
            bundle.check_vectors()
    except BundleError as error:
        message = error.message.replace(str(written), str(destination))
        raise BundleError(
            error.code, message, "nothing was written there; the bundle that was there is as it was"
        ) from error


def differences(first: Bundle, second: Bundle) -> list[str]:
    """What differs between two bundles, one line each: manifest fields by path, then files by name."""
    lines = list(_differences("", first.manifest.to_json(), second.manifest.to_json()))
    return [line for line in lines if not line.startswith("files.")] + [
        f"file {name} differs"
        for name in sorted(first.manifest.files.keys() | second.manifest.files.keys())
        if first.manifest.files.get(name) != second.manifest.files.get(name)
    ]


def _differences(path: str, first: Any, second: Any) -> Iterator[str]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            yield from _differences(f"{path}.{key}".lstrip("."), first.get(key), second.get(key))
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            name = one["name"] if isinstance(one, Mapping) and "name" in one else index
            yield from _differences(f"{path}[{name}]", one, other)
    elif first != second:
        yield f"{path}: {brief(first)} against {brief(second)}"


def _broken(path: Path, what: str) -> BundleError:
    return BundleError("EK-BUNDLE", f"{path} {what}", "copy or build the bundle again")


def _missing(path: Path) -> BundleError:
    if path.suffix == SUFFIX or ".py:" in path.name:
        return BundleError("EK-MISSING-FILE", f"there is no bundle at {path}", "edgekit build makes one")
    hint = f"is the path right? It is looked for in {Path.cwd()}" if not path.is_absolute() else "is the path right?"
    return BundleError("EK-MISSING-FILE", f"there is no {path}", hint)


def _foreign(path: Path) -> BundleError | None:
    """The error for a file that is known as something else than a bundle."""
    known = foreign(path)
    if known is None or path.suffix == SUFFIX:
        return None
    return BundleError("EK-BUNDLE", f"{path} is {known.what}, not a bundle", known.hint)


_PENDING: Any = None
