"""LiteRT's operator profiler, through the C interface of ``libLiteRt.so``: the Python interface has none.

The library lies in the ``ai-edge-litert`` package, comes without headers and promises no stable interface. What is
declared here is that of 2.3 (https://github.com/google-ai-edge/LiteRT, ``litert/c``); any other version is refused.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import failure, version_numbers
from edgekit.runtime.engines.interpreter import Place, locate, narrow, signature_key
from edgekit.runtime.engines.litert import LiteRT
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature

_VERSION = (2, 3)

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

#: Numbers of some statuses (``LiteRtStatus``), for messages.
_STATUSES = {
    1: "invalid argument",
    2: "out of memory",
    3: "runtime failure",
    4: "missing input tensor",
    5: "unsupported",
    6: "not found",
    501: "invalid flatbuffer",
    504: "compilation failed",
}

_CPU = 1  # kLiteRtHwAcceleratorCpu
_READ, _WRITE = 0, 1  # LiteRtTensorBufferLockMode

#: After so many events they are read before they go on: the profiler keeps 512 thousand, then overwrites the first.
_MOST_EVENTS = 20_000

#: What LiteRT calls the signature of a file that has none.
_NO_SIGNATURE = "<placeholder signature>"

#: `Event.type`: of the runtime itself, of an operator outside any delegate, and of one inside.
RUNTIME, OPERATOR, DELEGATED = 1, 2, 8
_EVENT_TYPES = tuple(1 << bit for bit in range(9))


class _Layout(ctypes.Structure):
    """``LiteRtLayout``; rank and a flag share the first number."""

    _fields_ = (
        ("rank", ctypes.c_uint, 7),
        ("has_strides", ctypes.c_uint, 1),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _TensorType(ctypes.Structure):
    """``LiteRtRankedTensorType``."""

    _fields_ = (("element", ctypes.c_int32), ("layout", _Layout))


class _Option(ctypes.Structure):
    """``LiteRtEnvOption`` with a whole number as its value."""

    _fields_ = (("tag", ctypes.c_int), ("value_type", ctypes.c_int64), ("value", ctypes.c_int64))


class _Event(ctypes.Structure):
    """``ProfiledEventData``. The tag is an address, to be followed once the rest has proved to make sense."""

    _fields_ = (
        ("tag", ctypes.c_void_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


#: Register accelerators for processors only, and pass on errors only: tag, kLiteRtAnyTypeInt, value.
_ENVIRONMENT = (_Option * 2)(_Option(24, 2, 1), _Option(25, 2, 3))


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
        self._call = _Calls(_library())
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
            call.AddOpaqueOptions(options, call.made("CreateOpaqueOptions", name.encode(), *_owned_text(text)))
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

    def _tensor_type(self, signature: ctypes.c_void_p, kind: str, index: int) -> _TensorType:
        tensor_type = _TensorType()
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
        with _Locked(self._call, buffer, _WRITE, array.nbytes) as memory:
            np.ndarray(array.shape, array.dtype, memory)[...] = array

    def _read(self, buffer: ctypes.c_void_p, place: Place) -> np.ndarray:
        dtype = np.dtype(np.int32 if place.narrowed else place.spec.dtype)
        size = int(np.prod(place.spec.shape, dtype=np.int64)) * dtype.itemsize
        with _Locked(self._call, buffer, _READ, size) as memory:
            return np.ndarray(place.spec.shape, dtype, memory).copy()

    def _event_count(self) -> int:
        count = ctypes.c_int()
        self._call.GetNumProfilerEvents(self._profiler, ctypes.byref(count))
        return count.value

    def _events(self, count: int) -> list[Event]:
        if count == 0:
            raise EdgekitError("EK-ENGINE", "LiteRT's profiler recorded nothing")
        entries = (_Event * count)()
        self._call.GetProfilerEvents(self._profiler, count, entries)
        # With another layout these numbers are anything, and following the addresses would end the process.
        now_us = time.monotonic_ns() // 1000
        if not all(entry.type in _EVENT_TYPES and entry.tag and entry.start_us <= now_us for entry in entries):
            raise EdgekitError("EK-ENGINE", f"LiteRT's profiler has another layout than that of {_known()}")
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


class _Calls:
    """Functions of the library, which raise when the status they return is not 0."""

    def __init__(self, library: ctypes.CDLL):
        self.library = library

    def __getattr__(self, name: str) -> Callable[..., None]:
        function = getattr(self.library, f"LiteRt{name}")

        def call(*arguments: object) -> None:
            status = function(*arguments)
            if status:
                reason = _STATUSES.get(status, f"status {status}")
                raise failure(LiteRT.name, "profile the model", RuntimeError(f"LiteRt{name}: {reason}"))

        return call

    def made(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """What the function gives back through its last argument: a handle."""
        handle = ctypes.c_void_p()
        getattr(self, name)(*arguments, ctypes.byref(handle))
        return handle

    def number(self, name: str, *arguments: object) -> int:
        number = ctypes.c_size_t()
        getattr(self, name)(*arguments, ctypes.byref(number))
        return number.value

    def text(self, name: str, *arguments: object) -> str:
        text = ctypes.c_char_p()
        getattr(self, name)(*arguments, ctypes.byref(text))
        return (text.value or b"").decode("utf-8", "replace")


class _Locked:
    """The memory of a tensor buffer, while it is locked."""

    def __init__(self, call: _Calls, buffer: ctypes.c_void_p, mode: int, size: int):
        self._call, self._buffer, self._mode, self._size = call, buffer, mode, size

    def __enter__(self) -> Any:
        size, address = ctypes.c_size_t(), ctypes.c_void_p()
        self._call.GetTensorBufferSize(self._buffer, ctypes.byref(size))
        if size.value < self._size:
            raise EdgekitError("EK-ENGINE", f"LiteRT has {size.value} bytes where a tensor takes {self._size}")
        self._call.LockTensorBuffer(self._buffer, ctypes.byref(address), self._mode)
        return (ctypes.c_char * self._size).from_address(address.value or 0)

    def __exit__(self, *_: object) -> None:
        self._call.UnlockTensorBuffer(self._buffer)


_HANDLE, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_PLACE = ctypes.c_void_p  # for a result

#: Arguments of the functions called here; each returns a status.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "AddOpaqueOptions": (_HANDLE, _HANDLE),
    "CompiledModelGetProfiler": (_HANDLE, _PLACE),
    "CreateCompiledModel": (_HANDLE, _HANDLE, _HANDLE, _PLACE),
    "CreateEnvironment": (_INT, _HANDLE, _PLACE),
    "CreateManagedTensorBufferFromRequirements": (_HANDLE, _PLACE, _HANDLE, _PLACE),
    "CreateModelFromBuffer": (_HANDLE, ctypes.c_char_p, _SIZE, _PLACE),
    "CreateOpaqueOptions": (ctypes.c_char_p, _HANDLE, _HANDLE, _PLACE),
    "CreateOptions": (_PLACE,),
    "GetCompiledModelInputBufferRequirements": (_HANDLE, _SIZE, _SIZE, _PLACE),
    "GetCompiledModelOutputBufferRequirements": (_HANDLE, _SIZE, _SIZE, _PLACE),
    "GetModelSignature": (_HANDLE, _SIZE, _PLACE),
    "GetNumModelSignatures": (_HANDLE, _PLACE),
    "GetNumOpOutputs": (_HANDLE, _PLACE),
    "GetNumProfilerEvents": (_HANDLE, _PLACE),
    "GetNumSignatureInputs": (_HANDLE, _PLACE),
    "GetNumSignatureOutputs": (_HANDLE, _PLACE),
    "GetNumSubgraphOps": (_HANDLE, _PLACE),
    "GetOpCode": (_HANDLE, _PLACE),
    "GetOpOutput": (_HANDLE, _SIZE, _PLACE),
    "GetProfilerEvents": (_HANDLE, _INT, _PLACE),
    "GetRankedTensorType": (_HANDLE, _PLACE),
    "GetSignatureInputName": (_HANDLE, _SIZE, _PLACE),
    "GetSignatureInputTensorByIndex": (_HANDLE, _SIZE, _PLACE),
    "GetSignatureKey": (_HANDLE, _PLACE),
    "GetSignatureOutputName": (_HANDLE, _SIZE, _PLACE),
    "GetSignatureOutputTensorByIndex": (_HANDLE, _SIZE, _PLACE),
    "GetSignatureSubgraph": (_HANDLE, _PLACE),
    "GetSubgraphOp": (_HANDLE, _SIZE, _PLACE),
    "GetTensorBufferSize": (_HANDLE, _PLACE),
    "GetTensorName": (_HANDLE, _PLACE),
    "LockTensorBuffer": (_HANDLE, _PLACE, _INT),
    "RunCompiledModel": (_HANDLE, _SIZE, _SIZE, _PLACE, _SIZE, _PLACE),
    "SetOptionsHardwareAccelerators": (_HANDLE, _INT),
    "StartProfiler": (_HANDLE,),
    "StopProfiler": (_HANDLE,),
    "UnlockTensorBuffer": (_HANDLE,),
}
#: Of what is released here; none returns anything.
_DESTROYED = ("CompiledModel", "Environment", "Model", "Options", "TensorBuffer")


@cache
def _library() -> ctypes.CDLL:
    """The library, with the types of its functions.

    Raises:
        EdgekitError: ``EK-ENGINE``: it is missing, or another than this module knows.
    """
    version = package_version("ai-edge-litert")
    if version is None:
        raise EdgekitError("EK-ENGINE", "litert is not installed", LiteRT.install_hint)
    if version_numbers(version)[:2] != _VERSION:
        hint = f"pip install 'ai-edge-litert=={_known()}.*'"
        raise EdgekitError("EK-ENGINE", f"operators are traced on LiteRT {_known()}, this is {version}", hint)
    spec = find_spec("ai_edge_litert")
    folders = [] if spec is None else spec.submodule_search_locations or []
    try:
        library = ctypes.CDLL(str(next(Path(folder) / "libLiteRt.so" for folder in folders)))
        for name, arguments in _FUNCTIONS.items():
            function = getattr(library, f"LiteRt{name}")
            function.restype, function.argtypes = _INT, arguments
        for name in _DESTROYED:
            function = getattr(library, f"LiteRtDestroy{name}")
            function.restype, function.argtypes = None, (_HANDLE,)
    except (OSError, AttributeError, StopIteration) as error:
        raise EdgekitError("EK-ENGINE", f"LiteRT's library is not what it should be: {error}") from error
    if (ctypes.sizeof(_TensorType), ctypes.sizeof(_Event)) != (72, 104):
        raise EdgekitError("EK-ENGINE", "LiteRT's structures are of another size on this machine")
    return library


def _known() -> str:
    return ".".join(map(str, _VERSION))


def _owned_text(text: str) -> tuple[int, ctypes.c_void_p]:
    """A copy of *text* that LiteRT may keep, and the function by which it gives it back."""
    libc = ctypes.CDLL(None)
    libc.strdup.restype, libc.strdup.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
    return libc.strdup(text.encode()), ctypes.cast(libc.free, ctypes.c_void_p)
