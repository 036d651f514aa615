"""Arrays by name in one ``.npz``, whatever their names: written at once, and read row by row.

numpy.savez has parameters of its own, and `file` is one. Files of others are read by `edgekit.arrays`.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgekit.arrays import header_of

#: A local header of a zip ends with the lengths of the name and of what else comes before the data (APPNOTE 4.3.7).
_LOCAL_BYTES, _LENGTHS = 30, struct.Struct("<HH")


def save(target: str | Path | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write *arrays* for ``numpy.load``, and so that `Rows` can read them; the same arrays give the same bytes.

    Args:
        arrays: By names that `edgekit.names.is_tensor_name` takes.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)


class Rows:
    """One array in a file, of which only those rows (along the first axis) are in memory that were asked for.

    Attributes:
        shape, dtype: Of the whole array.
    """

    def __init__(self, path: Path, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.shape = shape
        self.dtype = dtype
        self._path = path
        self._begin = begin

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of a slice or with these numbers, as an array of their own. Raises `OSError`: the file cannot be
        read, or is shorter than it was."""
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step == 1:
                return self._read(begin, max(0, end - begin))
            index = range(begin, end, step)
        rows = np.empty((len(index), *self.shape[1:]), self.dtype)
        for row, number in enumerate(index):
            rows[row] = self._read(range(len(self))[int(number)], 1)[0]
        return rows

    def _read(self, begin: int, count: int) -> np.ndarray:
        rows = np.empty((count, *self.shape[1:]), self.dtype)
        if rows.nbytes:
            with self._path.open("rb", buffering=0) as stream:
                stream.seek(self._begin + begin * (rows.nbytes // count))
                buffer = memoryview(rows.data).cast("B")
                while buffer:
                    size = stream.readinto(buffer)
                    if not size:
                        raise OSError(f"{self._path} is shorter than it was")
                    buffer = buffer[size:]
        return rows


def open_rows(path: str | Path) -> dict[str, Rows]:
    """The arrays by name of a file that `save` or numpy.savez wrote; what is compressed is not taken.

    Raises:
        ValueError, zipfile.BadZipFile: It is none.
        OSError: It cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): _open(Path(path), archive, info) for info in archive.infolist()}


def _open(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Rows:
    with archive.open(info) as stream:
        dtype, shape, order = header_of(stream)
        header = stream.tell()
    if info.compress_type != zipfile.ZIP_STORED or not shape or (order == "F" and len(shape) > 1):
        raise ValueError(f"{info.filename} is compressed, or has no rows that lie one after the other")
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        local = stream.read(_LOCAL_BYTES)
    begin = info.header_offset + _LOCAL_BYTES + sum(_LENGTHS.unpack(local[-_LENGTHS.size :])) + header
    return Rows(path, begin, shape, dtype)
