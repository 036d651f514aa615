"""Samples in a file, read and prepared a few at a time: a set of photographs takes more memory than the model.

What is done to each pixel quadruples the size of a photograph, so it is done when a sample is read, and noted in a file
beside the samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgekit import npz
from edgekit.numbers import fit
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import TensorSpec

#: About what is read in one piece by who wants all.
_CHUNK_BYTES = 16 << 20


class Stack(Protocol):
    """Samples, as an array or a `Column` has them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | list[int], /) -> np.ndarray: ...


class Column:
    """All samples of one input, of which only those are in memory that were asked for.

    Indexed as an array is, by a slice or by numbers of samples, it gives one.

    Attributes:
        shape, dtype: Of an array with all of them, samples first.
    """

    def __init__(self, name: str, rows: npz.Rows, process: Preprocessing | None = None, dtype: str | None = None):
        self._name = name
        self._rows = rows
        self._process = process
        first = self._prepared(rows[:1])
        self._wanted = first.dtype.name if dtype is None else dtype
        self.shape = (len(rows), *first.shape[1:])
        self.dtype = np.dtype(self._wanted)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """These samples as an array. Raises `UsageError` ``EK-DATA``: one of them has values that the input's dtype has
        not."""
        return fit("EK-DATA", f"the data's {self._name!r}", self._prepared(self._rows[index]), self._wanted)

    def all(self) -> np.ndarray:
        """All samples in one array."""
        whole = np.empty(self.shape, self.dtype)
        count = max(1, _CHUNK_BYTES // max(1, self.nbytes // max(1, len(self))))
        for begin in range(0, len(self), count):
            whole[begin : begin + count] = self[begin : begin + count]
        return whole

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        if self._process is None or not len(rows):
            return rows
        return np.stack([self._process.scaled(row) for row in rows])


def note(path: str | Path, process: Preprocessing | None) -> None:
    """Note what is to be done to the samples in the file at *path* when they are read; with None nothing is."""
    if process is None:
        _note_of(path).unlink(missing_ok=True)
    else:
        _note_of(path).write_text(json.dumps(process.to_json(), sort_keys=True), encoding="utf-8")


def open_samples(
    path: str | Path, specs: Sequence[TensorSpec] | None = None, names: Mapping[str, str] | None = None
) -> dict[str, Column]:
    """Samples by the name of their input.

    Args:
        path: What `edgekit.npz.save` or numpy.savez wrote, one array per input, samples first.
        specs: The inputs, if not all arrays in their order and types.
        names: What the array of each input is called in the file, if not as the input; samples are then given the
            input's dtype.

    Raises:
        KeyError: There is no array for an input.
        ValueError, zipfile.BadZipFile, OSError: As `edgekit.npz.open_rows`.
    """
    stored, noted = npz.open_rows(path), _note_of(path)
    process = Preprocessing.from_json(json.loads(noted.read_text(encoding="utf-8"))) if noted.is_file() else None
    if specs is None:
        return {name: Column(name, rows, process) for name, rows in stored.items()}
    if names is None:
        return {spec.name: Column(spec.name, stored[spec.name], process) for spec in specs}
    return {spec.name: Column(names[spec.name], stored[names[spec.name]], process, spec.dtype) for spec in specs}


def _note_of(path: str | Path) -> Path:
    return Path(path).with_suffix(".preprocessing.json")
