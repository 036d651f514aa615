"""LiteRT's operator profiler, through its C interface (`edgekit.runtime.engines.litert_c`).

What the file holds is known from edgekit's own reader: LiteRT counts signatures, their tensors and operators as the
file does.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.contents import tflite
from edgekit.runtime.contents.flatbuffer import Table
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.engines.base import failure
from edgekit.runtime.engines.interpreter import FileTensor, Tensors, locate, narrow, signature_key
from edgekit.runtime.engines.litert import LiteRT
from edgekit.runtime.engines.litert_c import (
    READ,
    WRITE,
    Calls,
    Option,
    RawEvent,
    TensorType,
    known_version,
    library,
    locked,
    owned_text,
)
from edgekit.tensors import DTYPES, Signature

_CPU = 1  # kLiteRtHwAcceleratorCpu

#: After so many events they are read before they go on: the profiler keeps 512 thousand, then overwrites the first.
_MOST_EVENTS = 20_000

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
            self._read(buffer, tensor).astype(tensor.spec.dtype)
            for tensor, buffer in zip(self._outputs, self._output_buffers, strict=True)
        ]

    def record(self, inputs: Sequence[np.ndarray], runs: int) -> list[list[Event]]:
        """The profiler's events of each of *runs* runs. They follow one another closely, as in a steady state: while
        events are read, caches would fill with other things, and threads go to sleep."""
        recorded: list[list[Event]] = []
        while len(recorded) < runs:
            self._call.StartProfiler(self._profiler)
            ends, count = [0], ctypes.c_int()
            while len(recorded) + len(ends) <= runs and ends[-1] < _MOST_EVENTS:
                self._invoke(inputs)
                self._call.GetNumProfilerEvents(self._profiler, ctypes.byref(count))
                ends.append(count.value)
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
        call, file = self._call, _read(self._data)
        index, graph, named = _signature(file, method)
        self.nodes = tuple(_node(file, graph, operator) for operator in graph["operators"])
        self._environment = self._own("Environment", call.made("CreateEnvironment", len(_ENVIRONMENT), _ENVIRONMENT))
        model = call.made("CreateModelFromBuffer", self._environment, self._data, len(self._data))
        self._own("Model", model)
        options = self._own("Options", call.made("CreateOptions"))
        call.SetOptionsHardwareAccelerators(options, _CPU)
        for name, text in (
            ("xnnpack", f"num_threads = {threads}\n"),
            ("runtime_options_string", "enable_profiling = true\n"),
        ):
            call.AddOpaqueOptions(options, call.made("CreateOpaqueOptions", name.encode(), *owned_text(text)))
        compiled = self._own("CompiledModel", call.made("CreateCompiledModel", self._environment, model, options))
        self._profiler = call.made("CompiledModelGetProfiler", compiled)
        self._inputs = locate(LiteRT.name, signature.inputs, _tensors(graph, named["inputs"]))
        self._outputs = locate(LiteRT.name, signature.outputs, _tensors(graph, named["outputs"]))
        found = call.made("GetModelSignature", model, index)
        buffers = [
            [self._buffer(compiled, index, found, kind, number) for number in range(len(named[f"{kind.lower()}s"]))]
            for kind in ("Input", "Output")
        ]
        self._input_buffers = [buffers[0][tensor.index] for tensor in self._inputs]
        self._output_buffers = [buffers[1][tensor.index] for tensor in self._outputs]
        arrays = [(ctypes.c_void_p * len(row))(*row) for row in buffers]
        self._run_arguments = (compiled, index, len(buffers[0]), arrays[0], len(buffers[1]), arrays[1])

    def _own(self, kind: str, handle: ctypes.c_void_p) -> ctypes.c_void_p:
        self._release.append((kind, handle))
        return handle

    def _buffer(
        self, compiled: ctypes.c_void_p, index: int, signature: ctypes.c_void_p, kind: str, number: int
    ) -> ctypes.c_void_p:
        """For the tensor with this number among the inputs or outputs of the signature at *index*."""
        call, tensor_type = self._call, TensorType()
        tensor = call.made(f"GetSignature{kind}TensorByIndex", signature, number)
        call.GetRankedTensorType(tensor, tensor_type)
        needs = call.made(f"GetCompiledModel{kind}BufferRequirements", compiled, index, number)
        make = "CreateManagedTensorBufferFromRequirements"
        return self._own("TensorBuffer", call.made(make, self._environment, tensor_type, needs))

    def _invoke(self, inputs: Sequence[np.ndarray]) -> None:
        for tensor, buffer, array in zip(self._inputs, self._input_buffers, inputs, strict=True):
            given = narrow(array, tensor.spec) if tensor.narrowed else array
            with locked(self._call, buffer, WRITE, given.nbytes) as memory:
                np.ndarray(given.shape, given.dtype, memory)[...] = given
        self._call.RunCompiledModel(*self._run_arguments)

    def _read(self, buffer: ctypes.c_void_p, tensor: FileTensor) -> np.ndarray:
        dtype = np.dtype(np.int32 if tensor.narrowed else tensor.spec.dtype)
        size = int(np.prod(tensor.spec.shape, dtype=np.int64)) * dtype.itemsize
        with locked(self._call, buffer, READ, size) as memory:
            return np.ndarray(tensor.spec.shape, dtype, memory).copy()

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


def _read(data: bytes) -> tflite.TfliteModel:
    try:
        return tflite.read(data)
    except Malformed as error:
        raise failure(LiteRT.name, "load the model", error) from error


def _signature(file: tflite.TfliteModel, method: str | None) -> tuple[int, Table, Table]:
    """Number of the signature called *method*, its subgraph, and its inputs and outputs. LiteRT makes one of the
    first subgraph of a file that has none."""
    graphs, signatures = file.model["subgraphs"], file.model["signature_defs"]
    if method is None and not signatures:
        unnamed = {side: [{"tensor_index": number} for number in graphs[0][side]] for side in ("inputs", "outputs")}
        return 0, graphs[0], unnamed
    keys = [signature["signature_key"] for signature in signatures]
    index = keys.index(signature_key(LiteRT.name, keys, method))
    return index, graphs[signatures[index]["subgraph_index"]], signatures[index]


def _tensors(graph: Table, entries: Sequence[Table]) -> Tensors:
    found: Tensors = []
    for index, entry in enumerate(entries):
        tensor = graph["tensors"][entry["tensor_index"]]
        dtype = tflite.TYPES[tensor["type"]][0]
        facts = {"index": index, "shape": tensor["shape"], "dtype": dtype if dtype in DTYPES else "V1"}  # fits nothing
        found.append((entry.get("name"), facts))
    return found


def _node(file: tflite.TfliteModel, graph: Table, operator: Table) -> Node:
    code = file.model["operator_codes"][operator["opcode_index"]]
    name = graph["tensors"][operator["outputs"][0]]["name"] if len(operator["outputs"]) else ""
    return Node(max(code["deprecated_builtin_code"], code["builtin_code"]), name)
