"""Running a model's buckets: several samples together, and samples of other lengths.

Where a file has a method that takes all sizes of a range, samples go to it as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekit.buckets import Buckets
from edgekit.errors import UsageError
from edgekit.runtime.engines import Session
from edgekit.tensors import Signature, TensorSpec

#: Arrays by name.
Named = dict[str, np.ndarray]
#: Some samples of a request: its index, the first one, and how many.
_Rows = tuple[int, int, int]


class Bucketed:
    """The buckets of one variant on one engine. Not thread-safe.

    Args:
        main: The session of the main method.
        open_method: Opens a further method by its name.
    """

    def __init__(
        self,
        buckets: Buckets,
        main: Session,
        signature: Signature,
        open_method: Callable[[str], Session],
    ):
        self._buckets = buckets
        self._signature = signature
        self._open = open_method
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
        parts: list[list[list[np.ndarray]]] = [[] for _ in requests]
        by_bucket: dict[int | None, list[tuple[int, int]]] = {}
        for index, (count, _, bucket) in enumerate(sizes):
            by_bucket.setdefault(bucket, []).append((index, count))
        for bucket, counts in by_bucket.items():
            for batch, taken in _chunks(counts, self._buckets):
                session = self._session(self._buckets.method(batch, bucket))
                specs = (self._spec(spec, batch, bucket) for spec in self._signature.inputs)
                outputs = session.run([self._filled(spec, requests, taken) for spec in specs])
                begin = 0
                for index, _, count in taken:
                    parts[index].append([array[begin : begin + count] for array in outputs])
                    begin += count
        return [self._joined(found, length) for found, (_, length, _) in zip(parts, sizes, strict=True)]

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
            what = f"the input has a length of {length}, the model takes "
            if self._buckets.length_range or self._buckets.pad:
                least, most = self._buckets.length_range or (self._buckets.shortest, self._buckets.length[-1])
                hint = "the model itself takes no less"
                if self._buckets.length_range:
                    hint = "let the range in [model.buckets] begin lower, where the model does, and build it again"
                raise UsageError("EK-INPUT", f"{what}{least} to {most}", "cut it" if length > most else hint)
            hint = "cut it; or say pad in [model.buckets], where the model allows it, and build it again"
            raise UsageError("EK-INPUT", what + lengths, hint)
        return 1 if count is None else count, length, bucket

    def _misfit(self, spec: TensorSpec, given: np.ndarray) -> UsageError:
        shape: list[object] = ["samples", *spec.shape[1:]]
        if (axis := (self._buckets.axes or {}).get(spec.name)) is not None:
            shape[axis] = "length"
        shown = f"{spec.dtype}[{', '.join(map(str, shape))}]"
        what = f"input {spec.name!r} is {given.dtype}{list(given.shape)}, the model takes {shown}"
        return UsageError("EK-INPUT", what, "samples and length are the same for all inputs, and at least 1")

    def _filled(
        self, spec: TensorSpec, requests: Sequence[Mapping[str, np.ndarray]], taken: Sequence[_Rows]
    ) -> np.ndarray:
        """The input *spec* of a bucket, with the rows *taken*; the last one fills it up."""
        index, begin, count = taken[0]
        first = requests[index][spec.name]
        if first.shape == spec.shape and (not spec.shape or (begin == 0 and count == spec.shape[0])):
            return first
        axis = (self._buckets.axes or {}).get(spec.name)
        fill = (self._buckets.pad or {}).get(spec.name)
        filled = (
            np.empty(spec.shape, spec.dtype) if axis is None or fill is None else np.full(spec.shape, fill, spec.dtype)
        )
        at = 0
        for index, begin, count in taken:
            rows = requests[index][spec.name][begin : begin + count]
            part = filled[at : at + count]
            part[(slice(None),) * axis + (slice(rows.shape[axis]),) if axis is not None else ...] = rows
            at += count
        filled[at:] = filled[at - 1]
        return filled

    def _session(self, method: str | None) -> Session:
        if method not in self._sessions:
            assert method is not None
            self._sessions[method] = self._open(method)
        return self._sessions[method]

    def _spec(self, spec: TensorSpec, batch: int, length: int | None) -> TensorSpec:
        """*spec*, of an input, for *batch* samples of *length*."""
        at = spec if length is None else self._buckets.at(spec, length)
        return replace(at, shape=(batch, *at.shape[1:])) if at.shape else at

    def _joined(self, parts: Sequence[Sequence[np.ndarray]], length: int | None) -> Named:
        """One array for each output, without what came of padding."""
        outputs: Named = {}
        for spec, arrays in zip(self._signature.outputs, zip(*parts, strict=True), strict=True):
            axis = (self._buckets.outputs or {}).get(spec.name)
            joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
            outputs[spec.name] = np.array(joined if axis is None else joined[(slice(None),) * axis + (slice(length),)])
        return outputs


def _chunks(counts: Sequence[tuple[int, int]], buckets: Buckets) -> Iterator[tuple[int, list[_Rows]]]:
    """The samples of requests, by index and number, in groups of batch sizes of *buckets*, each more than half full.

    Groups are full where the batch size is open.
    """
    left = sum(count for _, count in counts)
    waiting = [(index, 0, count) for index, count in reversed(counts)]
    while left:
        batch = _batch(left, buckets)
        taken: list[_Rows] = []
        free = min(batch, left)
        left -= free
        while free:
            index, begin, count = waiting.pop()
            used = min(count, free)
            if used < count:
                waiting.append((index, begin + used, count - used))
            taken.append((index, begin, used))
            free -= used
        yield batch, taken


def _batch(left: int, buckets: Buckets) -> int:
    """The batch size for the next of *left* samples."""
    if buckets.batch_range is not None:
        return min(left, buckets.most_batch)
    above = next((size for size in buckets.batch if size >= left), None)
    if above is not None and 2 * left > above:
        return above
    return max(size for size in buckets.batch if size <= left)
