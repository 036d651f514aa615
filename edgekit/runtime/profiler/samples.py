"""What was recorded while something ran: durations and traces, packed."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgekit.runtime.engines.base import TraceKind

#: Of one process, and of what an engine recorded: several times what the longest session leaves.
_MOST_SAMPLES, _MOST_TRACE_BYTES = 8_000_000, 64 << 20


def _inflated(data: str, most_bytes: int) -> bytes:
    """What was deflated and is in *data* in base64; ValueError when it is damaged, or longer."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(base64.b64decode(data, validate=True), most_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"what was recorded is damaged ({error})") from error
    if len(found) > most_bytes or not inflater.eof:
        raise ValueError("what was recorded is not as long as it should be")
    return found


@dataclass(frozen=True)
class Samples:
    """Whole numbers in the order they were taken: little-endian int64, deflated, in base64."""

    count: int
    data: str

    @classmethod
    def pack(cls, values: Iterable[int] | np.ndarray) -> Samples:
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype="<i8")
        return cls(array.size, base64.b64encode(zlib.compress(array.tobytes(), 6)).decode("ascii"))

    def array(self) -> np.ndarray:
        """The numbers, as int64. Raises `ValueError`: what is stored is damaged."""
        if not 0 <= self.count <= _MOST_SAMPLES:
            raise ValueError(f"{self.count:,} samples")
        array = np.frombuffer(_inflated(self.data, 8 * self.count), dtype="<i8")
        if array.size != self.count:
            raise ValueError(f"{array.size} samples where {self.count} are due")
        return array.astype(np.int64)


@dataclass(frozen=True)
class Spans:
    """The parts of an inference, call by call, in nanoseconds; taken apart from the steady state, whose calls are timed
    as a whole.

    Attributes:
        write_ns: Copying the inputs in.
        invoke_ns: The inference itself.
        read_ns: Copying the outputs out.
    """

    write_ns: Samples
    invoke_ns: Samples
    read_ns: Samples


@dataclass(frozen=True)
class Trace:
    """What an engine recorded of traced inferences, before it is decoded: ``etdump`` or ``litert`` (see
    `edgekit.profiling.operators`), deflated, in base64."""

    kind: TraceKind
    data: str

    @classmethod
    def pack(cls, kind: TraceKind, recorded: bytes) -> Trace:
        return cls(kind, base64.b64encode(zlib.compress(recorded, 6)).decode("ascii"))

    def recorded(self) -> bytes:
        """What was packed. Raises `ValueError`: what is stored is damaged."""
        return _inflated(self.data, _MOST_TRACE_BYTES)
