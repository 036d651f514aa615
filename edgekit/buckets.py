"""Buckets: the batch sizes and lengths that a file takes besides one sample of its full length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgekit.tensors import Signature, TensorSpec

#: The least and the most of sizes that are all taken.
Range = tuple[int, ...]


@dataclass(frozen=True)
class OpenMethod:
    """A method that takes all sizes in between.

    Attributes:
        batch: Least and most samples in a call; the same where it takes no other number.
        length: The same of their length; None where all samples have one length.
    """

    name: str
    batch: Range
    length: Range | None

    @property
    def sizes(self) -> tuple[tuple[int, int | None], ...]:
        """Batch sizes with lengths that speak for all: the bounds of both, and something between."""
        lengths: Range | tuple[None, None] = self.length or (None, None)
        corners = [(batch, length) for batch in self.batch for length in lengths]
        middle = (middle_of(self.batch), None if self.length is None else middle_of(self.length))
        return tuple(dict.fromkeys((*corners, middle)))


@dataclass(frozen=True)
class Buckets:
    """Which there are; a file has a method for each batch size with each length.

    A file of a format that can leave sizes open has `open_methods` in place of those, where there are ranges.

    Attributes:
        batch: Samples in a call, ascending, from 1.
        length: Ascending, to that of the signature; empty where all samples have one length.
        axes: Of each input that has the length, its axis.
        pad: What an input is filled up with, at its end, to the length of the next bucket. Empty where only the lengths
            themselves are taken, as padding would change what the model gives.
        outputs: Of each output that has the length, its axis; what comes of padding is cut off there.
        shortest: The least length that is filled up.
        batch_range, length_range: The least and the most, of which all between are taken; from a batch size of 1, and
            to the length of the signature.
    """

    batch: tuple[int, ...]
    length: tuple[int, ...] = ()
    axes: Mapping[str, int] | None = None
    pad: Mapping[str, float] | None = None
    outputs: Mapping[str, int] | None = None
    shortest: int = 1
    batch_range: Range | None = None
    length_range: Range | None = None

    @property
    def closed(self) -> Buckets:
        """These without ranges: what a file has whose format cannot leave sizes open."""
        return replace(self, batch_range=None, length_range=None)

    @property
    def most_batch(self) -> int:
        """Samples in a call, at most."""
        return self.batch[-1] if self.batch_range is None else self.batch_range[1]

    def all(self) -> Iterator[tuple[int, int | None]]:
        """Batch size and length of each; the main method's own first."""
        for length in reversed(self.length or (None,)):
            for batch in self.batch:
                yield batch, length

    def lengths(self) -> tuple[int, ...]:
        """Those of all methods, and some between the bounds of ranges, ascending: they speak for all that are taken."""
        between = {length for each in self.open_methods() for _, length in each.sizes if length is not None}
        return tuple(sorted({*self.length, *between}))

    def names(self) -> frozenset[str]:
        """Of the methods for them, without ranges."""
        return frozenset(name for bucket in self.all() if (name := self.method(*bucket)) is not None)

    def open_methods(self) -> tuple[OpenMethod, ...]:
        """The methods that leave sizes open; none without ranges."""
        if self.batch_range is None and self.length_range is None:
            return ()
        batches = [self.batch_range] if self.batch_range else [(size, size) for size in self.batch]
        lengths: list[Range | None] = [(size, size) for size in reversed(self.length)] or [None]
        if self.length_range is not None:
            lengths = [self.length_range]
        return tuple(OpenMethod(self._name(batch, length), batch, length) for length in lengths for batch in batches)

    def method(self, batch: int, length: int | None) -> str | None:
        """Name of the method for a bucket; None for the main one."""
        if batch == 1 and (length is None or length == self.length[-1]):
            return None
        if self.batch_range is None and self.length_range is None:
            return self._name((batch, batch), None if length is None else (length, length))
        lengths = None if length is None else self.length_range or (length, length)
        return self._name(self.batch_range or (batch, batch), lengths)

    def bucket_for(self, length: int) -> int | None:
        """The length of the bucket that takes samples of *length*; None where none does."""
        if self.length_range is not None:
            least, most = self.length_range
            return length if least <= length <= most else None
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
        if not _is_range(self.batch_range) or (self.batch_range and self.batch_range[0] != 1):
            raise ValueError("buckets.batch_range")
        longest = max(self.length, default=0)
        if not _is_range(self.length_range) or (self.length_range and self.length_range[1] != longest):
            raise ValueError("buckets.length_range")

    def _name(self, batch: Range, length: Range | None) -> str:
        words = [] if batch == (1, 1) else [f"batch{_shown(batch)}"]
        if length is not None and length != (self.length[-1], self.length[-1]):
            words.append(f"length{_shown(length)}")
        return "_".join(words)


def middle_of(sizes: Range) -> int:
    """A size between the bounds of *sizes*."""
    return sum(sizes) // 2


def _shown(sizes: Range) -> str:
    return str(sizes[0]) if sizes[0] == sizes[1] else f"{sizes[0]}to{sizes[1]}"


def _is_range(sizes: Range | None) -> bool:
    """Whether *sizes* is one that may be; None may."""
    return sizes is None or (len(sizes) == 2 and 1 <= sizes[0] < sizes[1])
