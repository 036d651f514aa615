"""LiteRT's operator profiler, through its C interface (`edgekit.runtime.engines.litert_c`)."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.interpreter import Place, locate, narrow, signature_key
from edgekit.runtime.engines.litert import LiteRT
from edgekit.runtime.engines.litert_c import (
    READ,
    WRITE,
    Calls,
    Locked,
    Option,
    RawEvent,
    TensorType,
    known_version,
    library,
    owned_text,
)
from edgekit.tensors import Signature

#: Numbers of element types (``LiteRtElementType``).
_DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float16",
    11: "float64",
    12: "complex128",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}


_CPU = 1  # kLiteRtHwAcceleratorCpu

#: After so many events they are read before they go on: the profiler keeps 512 thousand, then overwrites the first.
_MOST_EVENTS = 20_000

#: What LiteRT calls the signature of a file that has none.
_NO_SIGNATURE = "<placeholder signature>"

#: `Event.type`: of the runtime itself, of an operator outside any delegate, and of one inside.
RUNTIME, OPERATOR, DELEGATED = 1, 2, 8
_EVENT_TYPES = tuple(1 << bit for bit in range(9))


#: Register accelerators for processors only, and pass on errors only: tag, kLiteRtAnyTypeInt, value.
_ENVIRONMENT = (Option * 2)(Option(24, 2, 1), Option(25, 2, 3))


@dataclass(frozen=True)
class Event:
    """One entry of the profiler.

    Attributes:
        tag: What ran, in the words of whoever ran it: ``Convolution (NHWC, F32) IGEMM``.
        type: `RUNTIME`, `OPERATOR` or `DELEGATED`; others are not for the time of an inference.
        start_us: By the monotonic clock. Of `DELEGATED` events: when they were entered, after their delegate was done.
        elapsed_us: Whole microseconds.
        index: Of the node in the file, or, of `DELEGATED` events, of the step inside the delegate.
    """

    tag: str
    type: int
    start_us: int
    elapsed_us: int
    index: int


@dataclass(frozen=True)
class Node:
    """One operator of the file: its number in TensorFlow Lite's list, and the name of its first output."""

    code: int
    output: str


class ProfiledModel:
    """A model on LiteRT's compiled-model interface, with XNNPACK, whose runs are profiled. Not thread-safe.

    Attributes:
        nodes: The operators of the signature, in the file's order.

    Raises:
        EdgekitError: ``EK-ENGINE``: the library is missing, or another than this module knows; ``EK-RUN``: it refuses
            the file, or the file does not fit the signature.
    """

    def __init__(self, data: bytes, signature: Signature, threads: int, method: str | None = None):
        self._call = Calls(library())
        self._release: list[tuple[str, ctypes.c_void_p]] = []
        self._data = data  # borrowed by the model
        try:
            self._open(signature, threads, method)
        except BaseException:
            self.close()
            raise

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the model once, as `edgekit.runtime.engines.base.Session.run` does; nothing is recorded."""
        self._invoke(inputs)
        return [
            self._read(buffer, place).astype(place.spec.dtype)
            for place, buffer in zip(self._outputs, self._output_buffers, strict=True)
        ]

    def record(self, inputs: Sequence[np.ndarray], runs: int) -> list[list[Event]]:
        """The profiler's events of each of *runs* runs. They follow one another closely, as in a steady state: while
        events are read, caches would fill with other things, and threads go to sleep."""
        recorded: list[list[Event]] = []
        while len(recorded) < runs:
            self._call.StartProfiler(self._profiler)
            ends = [0]
            while len(recorded) + len(ends) <= runs and ends[-1] < _MOST_EVENTS:
                self._invoke(inputs)
                ends.append(self._event_count())
            self._call.StopProfiler(self._profiler)
            events = self._events(ends[-1])
            recorded += [events[begin:end] for begin, end in itertools.pairwise(ends)]
        return recorded

    def close(self) -> None:
        """Release the model. Closing twice is harmless."""
        while self._release:
            name, handle = self._release.pop()
            getattr(self._call.library, f"LiteRtDestroy{name}")(handle)

    def _open(self, signature: Signature, threads: int, method: str | None) -> None:
        call = self._call
        self._environment = self._own("Environment", call.made("CreateEnvironment", len(_ENVIRONMENT), _ENVIRONMENT))
        model = call.made("CreateModelFromBuffer", self._environment, self._data, len(self._data))
        self._own("Model", model)
        index, found = self._signature(model, method)
        subgraph = call.made("GetSignatureSubgraph", found)
        self.nodes = tuple(self._node(call.made("GetSubgraphOp", subgraph, op)) for op in self._counted(subgraph, "Op"))
        options = self._own("Options", call.made("CreateOptions"))
        call.SetOptionsHardwareAccelerators(options, _CPU)
        for name, text in (
            ("xnnpack", f"num_threads = {threads}\n"),
            ("runtime_options_string", "enable_profiling = true\n"),
        ):
            call.AddOpaqueOptions(options, call.made("CreateOpaqueOptions", name.encode(), *owned_text(text)))
        compiled = self._own("CompiledModel", call.made("CreateCompiledModel", self._environment, model, options))
        self._profiler = call.made("CompiledModelGetProfiler", compiled)
        unnamed = self._key(found) == _NO_SIGNATURE
        inputs, outputs = (list(self._tensors(found, kind, unnamed)) for kind in ("Input", "Output"))
        self._inputs = locate(LiteRT.name, signature.inputs, inputs)
        self._outputs = locate(LiteRT.name, signature.outputs, outputs)
        buffers = [
            self._buffers(compiled, index, found, kind, len(tensors))
            for kind, tensors in (("Input", inputs), ("Output", outputs))
        ]
        self._input_buffers = [buffers[0][place.index] for place in self._inputs]
        self._output_buffers = [buffers[1][place.index] for place in self._outputs]
        arrays = [(ctypes.c_void_p * len(row))(*row) for row in buffers]
        self._run_arguments = (compiled, index, len(inputs), arrays[0], len(outputs), arrays[1])

    def _own(self, kind: str, handle: ctypes.c_void_p) -> ctypes.c_void_p:
        self._release.append((kind, handle))
        return handle

    def _signature(self, model: ctypes.c_void_p, method: str | None) -> tuple[int, ctypes.c_void_p]:
        number = self._call.number("GetNumModelSignatures", model)
        found = [self._call.made("GetModelSignature", model, index) for index in range(number)]
        keys = [self._key(signature) for signature in found]
        index = keys.index(signature_key(LiteRT.name, keys, method))
        return index, found[index]

    def _key(self, signature: ctypes.c_void_p) -> str:
        return self._call.text("GetSignatureKey", signature)

    def _counted(self, subgraph: ctypes.c_void_p, what: str) -> range:
        return range(self._call.number(f"GetNumSubgraph{what}s", subgraph))

    def _node(self, op: ctypes.c_void_p) -> Node:
        code = ctypes.c_int()
        self._call.GetOpCode(op, ctypes.byref(code))
        outputs = self._call.number("GetNumOpOutputs", op)
        name = self._call.text("GetTensorName", self._call.made("GetOpOutput", op, 0)) if outputs else ""
        return Node(code.value, name)

    def _tensors(self, signature: ctypes.c_void_p, kind: str, unnamed: bool) -> Iterator[tuple[str | None, Any]]:
        for index in range(self._call.number(f"GetNumSignature{kind}s", signature)):
            name = self._call.text(f"GetSignature{kind}Name", signature, index)
            tensor_type = self._tensor_type(signature, kind, index)
            layout = tensor_type.layout
            facts = {
                "index": index,
                "shape": tuple(layout.dimensions[: layout.rank]),
                "dtype": _DTYPES.get(tensor_type.element, "V1"),  # void: fits no signature
            }
            yield None if unnamed else name, facts

    def _tensor_type(self, signature: ctypes.c_void_p, kind: str, index: int) -> TensorType:
        tensor_type = TensorType()
        tensor = self._call.made(f"GetSignature{kind}TensorByIndex", signature, index)
        self._call.GetRankedTensorType(tensor, ctypes.byref(tensor_type))
        return tensor_type

    def _buffers(
        self, compiled: ctypes.c_void_p, signature_index: int, signature: ctypes.c_void_p, kind: str, count: int
    ) -> list[ctypes.c_void_p]:
        buffers = []
        for index in range(count):
            needs = self._call.made(f"GetCompiledModel{kind}BufferRequirements", compiled, signature_index, index)
            tensor_type = ctypes.byref(self._tensor_type(signature, kind, index))
            make = "CreateManagedTensorBufferFromRequirements"
            buffers.append(self._own("TensorBuffer", self._call.made(make, self._environment, tensor_type, needs)))
        return buffers

    def _invoke(self, inputs: Sequence[np.ndarray]) -> None:
        for place, buffer, array in zip(self._inputs, self._input_buffers, inputs, strict=True):
            self._write(buffer, narrow(array, place.spec) if place.narrowed else array)
        self._call.RunCompiledModel(*self._run_arguments)

    def _write(self, buffer: ctypes.c_void_p, array: np.ndarray) -> None:
        with Locked(self._call, buffer, WRITE, array.nbytes) as memory:
            np.ndarray(array.shape, array.dtype, memory)[...] = array

    def _read(self, buffer: ctypes.c_void_p, place: Place) -> np.ndarray:
        dtype = np.dtype(np.int32 if place.narrowed else place.spec.dtype)
        size = int(np.prod(place.spec.shape, dtype=np.int64)) * dtype.itemsize
        with Locked(self._call, buffer, READ, size) as memory:
            return np.ndarray(place.spec.shape, dtype, memory).copy()

    def _event_count(self) -> int:
        count = ctypes.c_int()
        self._call.GetNumProfilerEvents(self._profiler, ctypes.byref(count))
        return count.value

    def _events(self, count: int) -> list[Event]:
        if count == 0:
            raise EdgekitError("EK-ENGINE", "LiteRT's profiler recorded nothing")
        entries = (RawEvent * count)()
        self._call.GetProfilerEvents(self._profiler, count, entries)
        # With another layout these numbers are anything, and following the addresses would end the process.
        now_us = time.monotonic_ns() // 1000
        if not all(entry.type in _EVENT_TYPES and entry.tag and entry.start_us <= now_us for entry in entries):
            raise EdgekitError("EK-ENGINE", f"LiteRT's profiler has another layout than that of {known_version()}")
        return [
            Event(
                ctypes.string_at(entry.tag).decode("utf-8", "replace"),
                entry.type,
                entry.start_us,
                entry.elapsed_us,
                entry.index,
            )
            for entry in entries
        ]
