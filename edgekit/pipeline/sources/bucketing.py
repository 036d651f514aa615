"""What a source model gives at the lengths of its buckets, and whether padding leaves that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.buckets import Buckets
from edgekit.errors import UsageError
from edgekit.pipeline.data import Arrays, save_arrays
from edgekit.pipeline.sources import Source, SourceSpec, open_source
from edgekit.runtime.samples import open_samples
from edgekit.schema import conform
from edgekit.tensors import Signature

#: How far padding may move an output: this share of its value, and of the largest one.
_SAME, _SAME_OF_LARGEST = 1e-3, 1e-4


def answer(
    *,
    source: Mapping[str, Any],
    samples: str,
    names: Mapping[str, str],
    rows: Sequence[int],
    buckets: Mapping[str, Any],
    directory: str,
) -> dict[str, Any]:
    """Run the source model over *rows* of *samples* at each length of *buckets*; a task.

    Args:
        directory: Takes, for each length, ``inputs-LENGTH.npz``, ``outputs-LENGTH.npz`` and ``sample-LENGTH.npz``.

    Returns:
        An `edgekit.pipeline.work.answers.BucketAnswer`, as JSON.

    Raises:
        UsageError: ``EK-PROJECT``: the model does not take a length, or padding changes what it gives.
    """
    asked, spec, folder = conform(Buckets, buckets), SourceSpec.from_json(source), Path(directory)
    given = open_samples(samples, spec.inputs, names)
    inputs = {name: np.array(column[np.array(rows)]) for name, column in given.items()}
    if not asked.length:
        opened = open_source(spec)
        _save(folder, "", inputs, opened.predict(inputs))
        return {"buckets": asdict(asked), "signatures": {"": opened.signature.to_json()}}
    at = _Lengths(spec, asked, inputs, folder)
    signatures: dict[str, Signature] = {}
    for length in asked.lengths():
        opened, cut = at.open(length)
        signatures[str(length)] = opened.signature
        _save(folder, str(length), cut, opened.predict(cut))
    found = replace(asked, outputs=_axes(signatures, asked))
    if asked.pad:
        found = replace(found, shortest=_shortest(found, at))
    return {"buckets": asdict(found), "signatures": {key: each.to_json() for key, each in signatures.items()}}


class _Lengths:
    """The source model at any length."""

    def __init__(self, spec: SourceSpec, buckets: Buckets, inputs: Arrays, folder: Path):
        self._spec, self._buckets, self._inputs, self._folder = spec, buckets, inputs, folder

    def open(self, length: int) -> tuple[Source, Arrays]:
        """The model that takes samples of *length*, and such samples: the beginnings of the longest."""
        cut = {name: self._cut(name, array, length) for name, array in self._inputs.items()}
        sample = self._folder / f"sample-{length}.npz"
        save_arrays(sample, {name: array[:1] for name, array in cut.items()})
        specs = tuple(self._buckets.at(spec, length) for spec in self._spec.inputs)
        try:
            return open_source(replace(self._spec, inputs=specs, sample=str(sample))), cut
        except UsageError as error:
            if length == self._buckets.length[-1]:
                raise
            message = f"the model does not take a length of {length}: {error.message}"
            hint = "leave it out of [model.buckets] length, or compute in forward() with the sizes of the input"
            if length not in self._buckets.length:
                hint = "begin the range in [model.buckets] length above it, or compute with the sizes of the input"
            raise UsageError("EK-PROJECT", message, hint) from error

    def padded(self, cut: Arrays, length: int) -> Arrays:
        """*cut* filled up to *length*."""
        filled = dict(cut)
        for name, axis in (self._buckets.axes or {}).items():
            widths = [(0, 0)] * cut[name].ndim
            widths[axis] = (0, length - cut[name].shape[axis])
            filled[name] = np.pad(cut[name], widths, constant_values=(self._buckets.pad or {})[name])
        return filled

    def _cut(self, name: str, array: np.ndarray, length: int) -> np.ndarray:
        axis = (self._buckets.axes or {}).get(name)
        return array if axis is None else np.ascontiguousarray(array[(slice(None),) * axis + (slice(length),)])


def _axes(signatures: Mapping[str, Signature], buckets: Buckets) -> dict[str, int]:
    """The axis of each output that is as long as the inputs. Raises `UsageError`: padding could not be cut off it."""
    found: dict[str, int] = {}
    longest = signatures[str(buckets.length[-1])]
    for index, spec in enumerate(longest.outputs):
        shapes = {length: signatures[str(length)].outputs[index].shape for length in buckets.length}
        for axis in range(1, len(spec.shape)):
            sizes = [shape[axis] for shape in shapes.values() if len(shape) == len(spec.shape)]
            if len(sizes) == len(shapes) and len(set(sizes)) > 1:
                if sizes == list(buckets.length):
                    found[spec.name] = axis
                elif buckets.pad:
                    what = f"output {spec.name!r} has {sizes[-1]} rows for a length of {buckets.length[-1]}"
                    hint = "which of them are of padding is not known: leave out pad, and give one of the lengths"
                    raise UsageError("EK-PROJECT", f"[model.buckets]: {what}", hint)
    return found


def _shortest(buckets: Buckets, at: _Lengths) -> int:
    """The least length that may be filled up. Raises `UsageError`: that changes what the model gives."""
    shortest = 0
    for before, length in zip((0, *buckets.length), buckets.length, strict=False):
        whole, _ = at.open(length)
        for short in dict.fromkeys((before + 1, (before + length + 1) // 2, length - 1)):
            if not before < short < length:
                continue
            try:
                own, cut = at.open(short)
                expected = own.predict(cut)
            except UsageError:
                if before:
                    raise
                continue  # a window of the model is longer
            shortest = shortest or short
            _check_same(expected, whole.predict(at.padded(cut, length)), buckets, short, length)
    return shortest or buckets.length[0]


def _check_same(expected: Arrays, padded: Arrays, buckets: Buckets, short: int, length: int) -> None:
    for name, array in expected.items():
        axis = (buckets.outputs or {}).get(name)
        found = padded[name] if axis is None else padded[name][(slice(None),) * axis + (slice(short),)]
        largest = float(np.abs(array).max(initial=0))
        if found.shape == array.shape and np.allclose(found, array, rtol=_SAME, atol=_SAME_OF_LARGEST * largest):
            continue
        off = f"by {np.abs(found - array).max():.3g}" if found.shape == array.shape else "in shape"
        filled = f"output {name!r} of {short} steps, filled up to {length}, is off {off}"
        what = f"padding changes what the model gives: {filled}"
        hint = "leave out pad, and give exactly one of the lengths; or let the model take a mask and heed it"
        raise UsageError("EK-PROJECT", what, hint)


def _save(folder: Path, length: str, inputs: Arrays, outputs: Arrays) -> None:
    save_arrays(folder / f"inputs-{length}.npz", inputs)
    save_arrays(folder / f"outputs-{length}.npz", outputs)
