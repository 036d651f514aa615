"""Zip files that hold models: what is in them, and a new one of what was checked.

Each library reads zip files with code of its own, and two files of one name, bytes in between or a second table of
contents are read in different ways. So what a library gets is a new file, of what was read here.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgekit.runtime.contents.refusal import Malformed, shown

#: What `zipfile` raises, by experience with damaged files.
_DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, IndexError, KeyError, NotImplementedError, OSError,
    OverflowError, RuntimeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
#: Honest archives hold a file for each tensor.
_MAX_FILES = 1 << 16
#: Of compressed texts, unpacked: code of the largest TorchScript programs has a few megabytes.
_MAX_DEFLATED = 64 << 20


@dataclass(frozen=True)
class Packed:
    """Something that was read from an archive.

    Attributes:
        files: What was checked of it, by name.
    """

    files: Mapping[str, bytes]

    @property
    def data(self) -> bytes:
        """A new archive of what was checked and nothing else: what a library may see. Made each time."""
        return pack(self.files)


def unpack(
    data: bytes | memoryview,
    reads: Callable[[str], bool] = lambda name: True,
    may_deflate: Callable[[str], bool] = lambda name: False,
) -> dict[str, bytes]:
    """The files of the archive in *data* by name, in their order.

    Args:
        data: The archive.
        reads: Whether to read the file of this name. What is left out may be compressed; it may raise, too.
        may_deflate: Whether this one may be compressed: texts, up to a bound for all of them.

    Raises:
        Malformed: It is none, has compressed files, or two of one name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = {info.filename for info in infos}
            if len(infos) > _MAX_FILES or len(names) < len(infos):
                raise Malformed("it has two files of one name")
            infos = [info for info in infos if reads(info.filename)]
            packed = [info for info in infos if info.compress_type != zipfile.ZIP_STORED]
            for info in packed:
                if info.compress_type != zipfile.ZIP_DEFLATED or not may_deflate(info.filename):
                    raise Malformed(f"its {shown(info.filename)} is compressed")
            # Stored as they are, files together are no larger than the archive: few bytes cannot stand for many.
            packed_bytes = sum(info.file_size for info in packed)
            if packed_bytes > _MAX_DEFLATED or sum(info.file_size for info in infos) - packed_bytes > len(data):
                raise Malformed("its files are larger than it is")
            return {info.filename: archive.read(info) for info in infos}
    except Malformed:
        raise
    except _DAMAGED as error:
        raise Malformed(f"it is no archive: {' '.join(str(error).split())[:100]}") from error


def within_folder(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """*files* by their names below the one folder that they all are in, as PyTorch has it.

    Raises:
        Malformed: They are not in one.
    """
    folders = {name.partition("/")[0] for name in files}
    if len(folders) != 1:
        raise Malformed("its files are not in one folder")
    return {name.partition("/")[2]: contents for name, contents in files.items()}


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip file of *files*, stored as they are. The same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, contents in files.items():
            archive.writestr(zipfile.ZipInfo(name), contents)  # of 1980
    return buffer.getvalue()
