"""Samples for a source model: the one it is opened with, a few to try it with, and what it gives for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.numbers import fit
from edgekit.pipeline.sources.determinism import PROBES
from edgekit.runtime.samples import Stack
from edgekit.tensors import Signature, TensorSpec

#: Of made-up bytes: three of it to either side of the middle are nearly all that there is.
_BYTE_SPREAD = 40
#: An array per input, with an axis of 1 for samples.
Sample = list[np.ndarray]


def example_of(
    inputs: Sequence[TensorSpec], data_names: Sequence[str], sample: Mapping[str, np.ndarray] | None
) -> tuple[np.ndarray, ...]:
    """One sample, an array per input with a batch axis of 1: the user's own, or numbers where there are no data."""
    if sample is None:
        return tuple(made_up(inputs, 1).values())
    check_fit(inputs, data_names, sample)
    return tuple(
        fit("EK-DATA", f"the data's {name!r}", sample[name][:1], spec.dtype)
        for spec, name in zip(inputs, data_names, strict=True)
    )


def made_up(inputs: Sequence[TensorSpec], count: int) -> dict[str, np.ndarray]:
    """*count* samples by name for a model that came without data: floats, bytes around their middle, 0 and 1."""
    generator = np.random.default_rng(0)  # one for all: two inputs of one shape are not the same
    arrays = {}
    for spec in inputs:
        shape = (count, *spec.shape[1:])
        arrays[spec.name] = _drawn(generator, np.dtype(spec.dtype), shape)
    return arrays


def _drawn(generator: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:  # pixels, or what is quantized
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        drawn = generator.normal((least + most) / 2, _BYTE_SPREAD, shape)
        return drawn.round().clip(least, most).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def check_fit(inputs: Sequence[TensorSpec], data_names: Sequence[str], data: Mapping[str, Stack]) -> None:
    """Raise `UsageError` (``EK-DATA``) unless *data*, samples first, have the shapes of *inputs*."""
    for spec, name in zip(inputs, data_names, strict=True):
        if data[name].shape[1:] != spec.shape[1:]:
            raise UsageError(
                "EK-DATA",
                f"the model's input {spec.name!r} takes {list(spec.shape[1:])}, the data gives samples of shape "
                f"{list(data[name].shape[1:])}",
                "check preprocessing.layout and the shapes that data.py returns",
            )


def apart(signature: Signature, inputs: Mapping[str, Stack], indices: Iterable[int] | None = None) -> Iterator[Sample]:
    """Each sample of *inputs*, or those at *indices*, by itself: an array per input, in the signature's order."""
    columns = [inputs[spec.name] for spec in signature.inputs]
    for index in range(len(columns[0])) if indices is None else indices:
        yield [column[index : index + 1] for column in columns]


def probes(signature: Signature, inputs: Mapping[str, Stack]) -> list[Sample]:
    """A few of the samples that `apart` gives, spread over all."""
    return list(apart(signature, inputs, _spread(inputs)))


def _spread(inputs: Mapping[str, Stack]) -> list[int]:
    count = len(next(iter(inputs.values())))
    return sorted({int(index) for index in np.linspace(0, count - 1, PROBES).round()})


def check_shapes(signature: Signature, outputs: Sequence[np.ndarray]) -> None:
    """Raise `UsageError` (``EK-SOURCE``) unless *outputs*, of one sample, have the signature's shapes."""
    for spec, array in zip(signature.outputs, outputs, strict=True):
        if array.shape != spec.shape:
            raise UsageError(
                "EK-SOURCE",
                f"the model's output {spec.name!r} has the shape {list(array.shape)} for one sample, where "
                f"{list(spec.shape)} is due",
                "give it one shape whatever the input's values: pad it, or take a fixed number of results",
            )


def batched_alike(
    signature: Signature, inputs: Mapping[str, Stack], call: Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
) -> bool:
    """Whether *call* gives for a few of *inputs* together what it gives for each by itself.

    Args:
        call: Arrays in, arrays out, both in signature order; may fail for more than one sample.
    """
    indices = _spread(inputs)
    try:
        together = call([inputs[spec.name][indices] for spec in signature.inputs])
        singly = zip(*map(call, probes(signature, inputs)), strict=True)
        return all(_alike(batch, np.concatenate(rows)) for batch, rows in zip(together, singly, strict=True))
    except Exception:  # somebody else's code may raise anything
        return False


def _alike(batch: np.ndarray, rows: np.ndarray) -> bool:
    return batch.shape == rows.shape and np.allclose(batch, rows, rtol=1e-3, atol=1e-4 * np.abs(rows).max(initial=0))


def first_line(error: BaseException) -> str:
    """The first line of what *error* says, short enough for a message; of TorchScript's interpreter, which says last
    what it was, the last."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if _INTERPRETER in lines[0] else 0].strip()[:200]


_INTERPRETER = "failed in the TorchScript interpreter"


def does_not_run(what: str, error: Exception) -> UsageError:
    """The error for a model that fails on a sample of the data."""
    return UsageError(
        "EK-SOURCE",
        f"{what} does not run on a sample of the data: {first_line(error)}",
        "call the model yourself on one of the samples, with a batch axis of 1, and make the data fit it",
    )


def stacked(signature: Signature, rows: Iterable[Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """Outputs by name, samples first, from those of each sample."""
    columns = zip(*rows, strict=True)
    return {spec.name: np.concatenate(column) for spec, column in zip(signature.outputs, columns, strict=True)}
