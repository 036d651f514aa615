"""The source model at the shapes of its buckets: what exporters make methods of, and what files are held against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.bounds import MOST_SIDE_BYTES
from edgekit.buckets import Buckets, Range
from edgekit.errors import UsageError, did_you_mean
from edgekit.pipeline import sources
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.work.answers import BucketAnswer
from edgekit.pipeline.work.stages import Stages
from edgekit.pipeline.work.versions import versions
from edgekit.tensors import Signature

if TYPE_CHECKING:
    from edgekit.pipeline.model.source_model import SourceModel
    from edgekit.pipeline.project.origin import Origin

_READING = ("runtime/samples.py", "names.py", "numbers.py", "npz.py", "buckets.py", "schema.py")


@dataclass(frozen=True)
class Trial:
    """Some samples of one length, so many in a call.

    Attributes:
        inputs, outputs: ``.npz`` of them, and of what the float model gives for them.
    """

    batch: int
    inputs: Path
    outputs: Path

    def to_json(self) -> dict[str, Any]:
        return {"batch": self.batch, "inputs": str(self.inputs), "outputs": str(self.outputs)}


@dataclass(frozen=True)
class Method:
    """A bucket besides the main one, or what takes all of a range.

    Attributes:
        batch: Samples in a call, at most.
        source: The model at its length, or at the largest.
        signature: At these.
        trials: What it is held against.
        open: What an exporter is told of the sizes that it leaves open; empty for none.
    """

    name: str
    batch: int
    source: SourceSpec
    signature: Signature
    trials: tuple[Trial, ...]
    open: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What an exporter is told of it."""
        opened = {"open": dict(self.open)} if self.open else {}
        return {"name": self.name, "batch": self.batch, "source": self.source.to_json(), **opened}


@dataclass(frozen=True)
class BucketedModel:
    """All buckets of a source model.

    Attributes:
        methods: Of files that cannot leave sizes open.
        open_methods: Of those that can; none where there are no ranges.
        digest: Of what made them.
    """

    buckets: Buckets
    methods: tuple[Method, ...]
    open_methods: tuple[Method, ...]
    digest: str

    def signatures(self, names: Collection[str]) -> Mapping[str, Signature]:
        """Of the methods that bear these *names*."""
        return {each.name: each.signature for each in (*self.methods, *self.open_methods) if each.name in names}


def prepare_buckets(stages: Stages, origin: Origin, model: SourceModel) -> BucketedModel | None:
    """The buckets that the project names; None where it names none.

    Raises:
        UsageError: ``EK-PROJECT``: the model has no such input or axis, or does not take such batches or lengths.
    """
    buckets = origin.buckets
    if buckets is None:
        return None
    _check(buckets, model)
    asked = asdict(buckets)
    entry = stages.run(
        "buckets",
        origin.name,
        key={"model": model.digest, "buckets": asked, "versions": versions(origin.packages)},
        code=(*sources.CODE, *_READING),
        function="edgekit.pipeline.sources.bucketing:answer",
        family=origin.family,
        arguments=lambda directory: {
            "source": model.spec.to_json(),
            "samples": str(model.samples),
            "names": dict(model.names),
            "rows": model.check_samples.tolist(),
            "buckets": asked,
            "directory": str(directory),
        },
        failure="EK-SOURCE",
    )
    found = BucketAnswer.read(entry.record)
    buckets = found.buckets

    def method(name: str, batch: int, length: int | None, sizes: Sequence[tuple[int, int | None]]) -> Method:
        spec, single = model.spec, found.signatures[_text(length)]
        if length is not None:
            spec = replace(spec, inputs=single.inputs, sample=entry.path(f"sample-{length}.npz"))
        files = [[Path(entry.path(f"{side}-{_text(at)}.npz")) for side in ("inputs", "outputs")] for _, at in sizes]
        trials = tuple(Trial(each, *paths) for (each, _), paths in zip(sizes, files, strict=True))
        return Method(name, batch, spec, single.batched(batch), trials)

    methods = [
        method(name, batch, length, [(batch, length)])
        for batch, length in buckets.all()
        if (name := buckets.closed.method(batch, length)) is not None
    ]
    open_methods = []
    for each in buckets.open_methods():
        most = None if each.length is None else each.length[-1]
        told = {"batch": _open(each.batch), "length": each.length and _open(each.length), "axes": buckets.axes}
        open_methods.append(replace(method(each.name, each.batch[-1], most, each.sizes), open=told))
    return BucketedModel(buckets, tuple(methods), tuple(open_methods), entry.digest)


def _text(length: int | None) -> str:
    """By which an answer knows *length*."""
    return "" if length is None else str(length)


def _open(sizes: Range) -> Range | None:
    return None if sizes[0] == sizes[-1] else sizes


def _check(buckets: Buckets, model: SourceModel) -> None:
    where = "[model.buckets]"
    if buckets.most_batch > 1 and not model.batches:
        what = f"{where}: the model takes one sample at a time, several together change each other's outputs"
        raise UsageError("EK-PROJECT", what, "leave out batch, or let each sample's outputs depend on it alone")
    largest = model.signature.batched(buckets.most_batch)
    size_bytes = max(sum(spec.size_bytes for spec in side) for side in (largest.inputs, largest.outputs))
    if size_bytes > MOST_SIDE_BYTES:
        what = (
            f"{where}: {buckets.most_batch} samples are {size_bytes >> 20:,} MiB, {MOST_SIDE_BYTES >> 20} are the most"
        )
        raise UsageError("EK-PROJECT", what, "name a smaller batch: calls with more samples are split")
    known = {spec.name: spec.shape for spec in model.signature.inputs}
    dtypes = {spec.name: np.dtype(spec.dtype) for spec in model.signature.inputs}
    for name, axis in (buckets.axes or {}).items():
        if name not in known:
            raise UsageError("EK-PROJECT", f"{where}: the model has no input {name!r}", did_you_mean(name, known))
        shape = known[name]
        if axis >= len(shape):
            what = f"{where}: input {name!r} has the axes 0 to {len(shape) - 1}, axis names {axis}"
            raise UsageError("EK-PROJECT", what, f"its shape is {list(shape)}, samples first")
        if shape[axis] != buckets.length[-1]:
            longest = buckets.length[-1]
            what = (
                f"{where}: samples of {name!r} are {shape[axis]} long on axis {axis}, the largest length is {longest}"
            )
            hint = f"name {shape[axis]} as the largest, or give data that are {longest} long"
            raise UsageError("EK-PROJECT", what, hint)
        fill = (buckets.pad or {}).get(name, 0.0)
        if dtypes[name].kind != "f" and not _is_value(fill, dtypes[name]):
            what = f"{where}: pad is {fill:g}, and input {name!r} is {dtypes[name]}"
            raise UsageError("EK-PROJECT", what, f"name a value that {dtypes[name]} has")


def _is_value(number: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "b":
        return number in (0.0, 1.0)
    limits = np.iinfo(dtype)
    return number == int(number) and limits.min <= number <= limits.max
