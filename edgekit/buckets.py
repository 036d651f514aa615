"""Buckets: the batch sizes and lengths that a file takes besides one sample of its full length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgekit.tensors import Signature, TensorSpec


@dataclass(frozen=True)
class Buckets:
    """Which there are; a file has a method for each batch size with each length.

    Attributes:
        batch: Samples in a call, ascending, from 1.
        length: Ascending, to that of the signature; empty where all samples have one length.
        axes: Of each input that has the length, its axis.
        pad: What an input is filled up with, at its end, to the length of the next bucket. Empty where only the lengths
            themselves are taken, as padding would change what the model gives.
        outputs: Of each output that has the length, its axis; what comes of padding is cut off there.
        shortest: The least length that is filled up.
    """

    batch: tuple[int, ...]
    length: tuple[int, ...] = ()
    axes: Mapping[str, int] | None = None
    pad: Mapping[str, float] | None = None
    outputs: Mapping[str, int] | None = None
    shortest: int = 1

    def all(self) -> Iterator[tuple[int, int | None]]:
        """Batch size and length of each; the main method's own first."""
        for length in reversed(self.length or (None,)):
            for batch in self.batch:
                yield batch, length

    def method(self, batch: int, length: int | None) -> str | None:
        """Name of the method for a bucket; None for the main one."""
        words = [f"batch{batch}"] if batch > 1 else []
        words += [f"length{length}"] if self.length and length != self.length[-1] else []
        return "_".join(words) or None

    def bucket_for(self, length: int) -> int | None:
        """The length of the bucket that takes samples of *length*; None where none does."""
        if length in self.length:
            return length
        if not self.pad or length < self.shortest:
            return None
        return next((each for each in self.length if each > length), None)

    def at(self, spec: TensorSpec, length: int) -> TensorSpec:
        """*spec*, of an input, at *length*."""
        axis = (self.axes or {}).get(spec.name)
        if axis is None:
            return spec
        return replace(spec, shape=(*spec.shape[:axis], length, *spec.shape[axis + 1 :]))

    def check(self, signature: Signature) -> None:
        """Raise `ValueError`, which names the field, unless these are buckets of a model with *signature*."""
        for name, sizes in (("batch", self.batch), ("length", self.length)):
            if list(sizes) != sorted(set(sizes)) or min(sizes, default=1) < 1:
                raise ValueError(f"buckets.{name}")
        if self.batch[:1] != (1,) or bool(self.length) != bool(self.axes):
            raise ValueError("buckets.batch" if self.batch[:1] != (1,) else "buckets.axes")
        for field, axes, specs in (("axes", self.axes, signature.inputs), ("outputs", self.outputs, signature.outputs)):
            known = {spec.name: spec.shape for spec in specs}
            for name, axis in (axes or {}).items():
                shape = known.get(name, ())
                if not 0 < axis < len(shape) or shape[axis] != self.length[-1]:
                    raise ValueError(f"buckets.{field}.{name}")
        if self.pad and self.pad.keys() != (self.axes or {}).keys():
            raise ValueError("buckets.pad")
        if self.shortest < 1:
            raise ValueError("buckets.shortest")
