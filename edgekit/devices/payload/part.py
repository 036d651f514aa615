"""A part: one immutable archive that is unpacked on a device under its digest."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.digests import file_sha256, sha256
from edgekit.display import Log
from edgekit.private import home, private_folder
from edgekit.writing import replacing

#: Changes whenever the same entries would be written as other bytes.
_LAYOUT = 2


@dataclass(frozen=True)
class Entry:
    """A file of a part: its path in the archive, with ``/`` between folders, and its contents."""

    path: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True)
class Part:
    """What is sent to a device as one file, once.

    Attributes:
        name: What is in it, as in ``numpy-2.4.6``.
        digest: SHA-256 of the archive, in hexadecimal.
        archive: A ``.tar.gz`` on this machine; the same entries give the same bytes.
        size_bytes: Of the archive.
        unpacked_bytes: Sum of the files in it.
        python_paths: Folders in it for ``PYTHONPATH``; an empty text is its root.
        native_path: The folder in it for ``EDGEKIT_NATIVE``: the core and ExecuTorch's libraries, or the runner.
        runner: The script in it that starts ``edgekit-runner`` on a device that has nothing else.
    """

    name: str
    digest: str
    archive: Path
    size_bytes: int
    unpacked_bytes: int
    python_paths: tuple[str, ...]
    native_path: str | None = None
    runner: str | None = None

    def unpack(self, into: Path) -> None:
        """Unpack it into the folder *into*."""
        with tarfile.open(self.archive) as packed:
            # tarfile has filters from Python 3.11.4 on, and Debian 12 has 3.11.2.
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            packed.extractall(into)


def make_part(
    name: str,
    key: str,
    entries: Callable[[], Iterable[Entry]],
    *,
    log: Log = lambda line: None,
    python_paths: tuple[str, ...] = (),
    native_path: str | None = None,
    runner: str | None = None,
) -> Part:
    """The part called *name*, packed unless it was packed before.

    Args:
        key: Names the entries: as long as it is the same, they are not asked for again.
        entries: Gives the files.

    Raises:
        EdgekitError: ``EK-SPACE``, ``EK-WRITE``: the archive cannot be written.
    """
    short = sha256(f"{_LAYOUT} {name} {key}".encode())[:16]
    archive = home() / "parts" / f"{name}-{short}.tar.gz"
    known = _known(archive)
    if known is None:
        log(f"packing {name}")
        files = sorted(entries(), key=lambda entry: entry.path)
        private_folder(archive.parent)
        with replacing(archive) as temporary:
            temporary.write_bytes(pack(files))
        known = file_sha256(archive), sum(len(entry.data) for entry in files)
        with replacing(_marker(archive)) as temporary:
            temporary.write_text(json.dumps({"digest": known[0], "unpacked_bytes": known[1]}), encoding="utf-8")
    digest, unpacked_bytes = known
    return Part(name, digest, archive, archive.stat().st_size, unpacked_bytes, python_paths, native_path, runner)


def pack(entries: Iterable[Entry]) -> bytes:
    """A ``.tar.gz`` with *entries* in their order: no dates, no owners, so nothing but the contents decides its bytes.

    Folders have entries of their own, which a tar on a device may ask for.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        folders: set[str] = set()
        for entry in entries:
            for folder in reversed(Path(entry.path).parents[:-1]):
                if folder.as_posix() not in folders:
                    folders.add(folder.as_posix())
                    archive.addfile(_header(folder.as_posix(), tarfile.DIRTYPE, 0o755))
            header = _header(entry.path, tarfile.REGTYPE, 0o755 if entry.executable else 0o644)
            header.size = len(entry.data)
            archive.addfile(header, io.BytesIO(entry.data))
    return buffer.getvalue()


def environment(parts: Iterable[Part], folder: Callable[[Part], str]) -> Mapping[str, str]:
    """The variables with which a Python on the device finds what is in *parts*.

    Args:
        folder: Gives the folder into which a part was unpacked.
    """
    python, native = [], []
    for part in parts:
        python += [f"{folder(part)}/{path}".rstrip("/") for path in part.python_paths]
        native += [] if part.native_path is None else [f"{folder(part)}/{part.native_path}".rstrip("/")]
    return {"PYTHONPATH": ":".join(python), **({"EDGEKIT_NATIVE": ":".join(native)} if native else {})}


def _header(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.mode = kind, mode
    return header


def _known(archive: Path) -> tuple[str, int] | None:
    """Digest and unpacked size as noted when *archive* was packed; None when it is not there as it was."""
    try:
        facts = json.loads(_marker(archive).read_text(encoding="utf-8"))
        return (facts["digest"], facts["unpacked_bytes"]) if facts["digest"] == file_sha256(archive) else None
    except (OSError, ValueError, KeyError):
        return None


def _marker(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.json")
