"""Running a model's buckets: several samples together, and samples of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edgekit.buckets import Buckets
from edgekit.errors import UsageError
from edgekit.runtime.engines import Session
from edgekit.tensors import Signature, TensorSpec

#: Arrays by name.
Named = dict[str, np.ndarray]


class Bucketed:
    """The buckets of one variant on one engine. Not thread-safe.

    Args:
        main: The session of the main method.
        open_method: Opens a further method by its name.
        signatures: Of those methods.
    """

    def __init__(
        self,
        buckets: Buckets,
        main: Session,
        signature: Signature,
        open_method: Callable[[str], Session],
        signatures: Mapping[str, Signature],
    ):
        self._buckets = buckets
        self._signature = signature
        self._open = open_method
        self._signatures = signatures
        self._sessions: dict[str | None, Session] = {None: main}

    def run(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[Named]:
        """The outputs of each of *requests*, in order.

        Args:
            requests: Arrays of the signature's dtypes, by name, with any number of samples first; of any length that
                there is a bucket for.

        Raises:
            UsageError: ``EK-INPUT``: there is no bucket for a request.
            EdgekitError: ``EK-RUN``: the engine failed.
        """
        sizes = [self._sizes(request) for request in requests]
        rows: list[list[Named]] = [[] for _ in requests]
        by_bucket: dict[int | None, list[tuple[int, int]]] = {}
        for index, (count, _, bucket) in enumerate(sizes):
            by_bucket.setdefault(bucket, []).extend((index, row) for row in range(count))
        for bucket, samples in by_bucket.items():
            for batch, chosen in _chunks(samples, self._buckets.batch):
                outputs = self._call(batch, bucket, [self._padded(requests[i], row, bucket) for i, row in chosen])
                for number, (index, _) in enumerate(chosen):
                    rows[index].append({name: array[number] for name, array in outputs.items()})
        return [self._joined(found, length) for found, (_, length, _) in zip(rows, sizes, strict=True)]

    def close(self) -> None:
        """Close all sessions, the main one, too."""
        for session in self._sessions.values():
            session.close()

    def _sizes(self, request: Mapping[str, np.ndarray]) -> tuple[int, int | None, int | None]:
        """Number of samples of *request*, their length, and that of their bucket."""
        count: int | None = None
        length: int | None = None
        for spec in self._signature.inputs:
            array, axis = request[spec.name], (self._buckets.axes or {}).get(spec.name)
            own = list(spec.shape)
            if own and array.ndim == len(own):
                own[0] = array.shape[0] if count is None else count
                if axis is not None:
                    own[axis] = array.shape[axis] if length is None else length
            if array.shape != tuple(own) or not array.size:
                raise self._misfit(spec, array)
            count = own[0] if own else count  # a number has no axis for samples
            length = length if axis is None else own[axis]
        bucket = None if length is None else self._buckets.bucket_for(length)
        if length is not None and bucket is None:
            lengths = ", ".join(map(str, self._buckets.length))
            if self._buckets.pad:
                what = f"{self._buckets.shortest} to {self._buckets.length[-1]}"
                hint = "cut it" if length > self._buckets.length[-1] else "the model itself takes no less"
                raise UsageError("EK-INPUT", f"the input has a length of {length}, the model takes {what}", hint)
            hint = "cut it; or say pad in [model.buckets], where the model allows it, and build it again"
            raise UsageError("EK-INPUT", f"the input has a length of {length}, the model takes {lengths}", hint)
        return 1 if count is None else count, length, bucket

    def _misfit(self, spec: TensorSpec, given: np.ndarray) -> UsageError:
        shape: list[object] = ["samples", *spec.shape[1:]]
        if (axis := (self._buckets.axes or {}).get(spec.name)) is not None:
            shape[axis] = "length"
        shown = f"{spec.dtype}[{', '.join(map(str, shape))}]"
        what = f"input {spec.name!r} is {given.dtype}{list(given.shape)}, the model takes {shown}"
        return UsageError("EK-INPUT", what, "samples and length are the same for all inputs, and at least 1")

    def _padded(self, request: Mapping[str, np.ndarray], row: int, bucket: int | None) -> Named:
        sample = {name: array[row : row + 1] if array.ndim else array for name, array in request.items()}
        for name, axis in (self._buckets.axes or {}).items():
            missing = (bucket or 0) - sample[name].shape[axis]
            if missing:
                widths = [(0, missing if each == axis else 0) for each in range(sample[name].ndim)]
                fill = (self._buckets.pad or {})[name]
                sample[name] = np.pad(sample[name], widths, constant_values=fill)
        return sample

    def _call(self, batch: int, length: int | None, samples: Sequence[Named]) -> Named:
        """Outputs of *samples*, at most *batch* of them: the last one fills it up."""
        session, signature = self._session(self._buckets.method(batch, length))
        filled = [*samples, *[samples[-1]] * (batch - len(samples))]
        columns = ([sample[spec.name] for sample in filled] for spec in signature.inputs)
        inputs = [column[0] if batch == 1 else np.concatenate(column) for column in columns]
        return {spec.name: array for spec, array in zip(signature.outputs, session.run(inputs), strict=True)}

    def _session(self, method: str | None) -> tuple[Session, Signature]:
        if method not in self._sessions:
            assert method is not None
            self._sessions[method] = self._open(method)
        return self._sessions[method], self._signature if method is None else self._signatures[method]

    def _joined(self, rows: Sequence[Named], length: int | None) -> Named:
        """One array for each output, without what came of padding."""
        outputs = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        for name, axis in (self._buckets.outputs or {}).items():
            outputs[name] = outputs[name][(slice(None),) * axis + (slice(length),)]
        return outputs


def _chunks(samples: Sequence[tuple[int, int]], sizes: Sequence[int]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """*samples* in groups, each with a batch size of *sizes* that takes it, at least half full."""
    begin = 0
    while begin < len(samples):
        left = len(samples) - begin
        above = next((size for size in sizes if size >= left), None)
        batch = above if above is not None and 2 * left > above else max(size for size in sizes if size <= left)
        yield batch, list(samples[begin : begin + batch])
        begin += batch
