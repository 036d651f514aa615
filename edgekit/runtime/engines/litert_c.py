"""The C interface of ``libLiteRt.so``, for what the Python interface lacks: the operator profiler.

The library lies in the ``ai-edge-litert`` package, comes without headers and promises no stable interface. What is
declared here is that of 2.3 (https://github.com/google-ai-edge/LiteRT, ``litert/c``); any other version is refused.
``edgekit/runtime/native/litert_engine.cpp`` declares what it needs of the same, for devices without Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import failure, version_numbers
from edgekit.runtime.engines.litert import LiteRT
from edgekit.runtime.installed import package_folders, package_version

_VERSION = (2, 3)

READ, WRITE = 0, 1  # LiteRtTensorBufferLockMode
#: ``LiteRtRankedTensorType``, which LiteRT fills and takes back.
TensorType = ctypes.c_char * 72

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


class Option(ctypes.Structure):
    """``LiteRtEnvOption`` with a whole number as its value."""

    _fields_ = (("tag", ctypes.c_int), ("value_type", ctypes.c_int64), ("value", ctypes.c_int64))


class RawEvent(ctypes.Structure):
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


class Calls:
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


@contextmanager
def locked(call: Calls, buffer: ctypes.c_void_p, mode: int, size: int) -> Iterator[Any]:
    """The memory of a tensor buffer, *size* bytes, while it is locked."""
    have, address = ctypes.c_size_t(), ctypes.c_void_p()
    call.GetTensorBufferSize(buffer, ctypes.byref(have))
    if have.value < size:
        raise EdgekitError("EK-ENGINE", f"LiteRT has {have.value} bytes where a tensor takes {size}")
    call.LockTensorBuffer(buffer, ctypes.byref(address), mode)
    try:
        yield (ctypes.c_char * size).from_address(address.value or 0)
    finally:
        call.UnlockTensorBuffer(buffer)


_HANDLE, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_POINTER = ctypes.c_void_p  # to a result, or to an array

#: Arguments of the functions called here; each returns a status.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "AddOpaqueOptions": (_HANDLE, _HANDLE),
    "CompiledModelGetProfiler": (_HANDLE, _POINTER),
    "CreateCompiledModel": (_HANDLE, _HANDLE, _HANDLE, _POINTER),
    "CreateEnvironment": (_INT, _HANDLE, _POINTER),
    "CreateManagedTensorBufferFromRequirements": (_HANDLE, _POINTER, _HANDLE, _POINTER),
    "CreateModelFromBuffer": (_HANDLE, ctypes.c_char_p, _SIZE, _POINTER),
    "CreateOpaqueOptions": (ctypes.c_char_p, _HANDLE, _HANDLE, _POINTER),
    "CreateOptions": (_POINTER,),
    "GetCompiledModelInputBufferRequirements": (_HANDLE, _SIZE, _SIZE, _POINTER),
    "GetCompiledModelOutputBufferRequirements": (_HANDLE, _SIZE, _SIZE, _POINTER),
    "GetModelSignature": (_HANDLE, _SIZE, _POINTER),
    "GetNumProfilerEvents": (_HANDLE, _POINTER),
    "GetProfilerEvents": (_HANDLE, _INT, _POINTER),
    "GetRankedTensorType": (_HANDLE, _POINTER),
    "GetSignatureInputTensorByIndex": (_HANDLE, _SIZE, _POINTER),
    "GetSignatureOutputTensorByIndex": (_HANDLE, _SIZE, _POINTER),
    "GetTensorBufferSize": (_HANDLE, _POINTER),
    "LockTensorBuffer": (_HANDLE, _POINTER, _INT),
    "RunCompiledModel": (_HANDLE, _SIZE, _SIZE, _POINTER, _SIZE, _POINTER),
    "SetOptionsHardwareAccelerators": (_HANDLE, _INT),
    "StartProfiler": (_HANDLE,),
    "StopProfiler": (_HANDLE,),
    "UnlockTensorBuffer": (_HANDLE,),
}
#: Of what is released here; none returns anything.
_DESTROYED = ("CompiledModel", "Environment", "Model", "Options", "TensorBuffer")


@cache
def library() -> ctypes.CDLL:
    """The library, with the types of its functions.

    Raises:
        EdgekitError: ``EK-ENGINE``: it is missing, or another than this module knows.
    """
    version = package_version("ai-edge-litert")
    if version is None:
        raise EdgekitError("EK-ENGINE", "litert is not installed", LiteRT.install_hint)
    if version_numbers(version)[:2] != _VERSION:
        hint = f"pip install 'ai-edge-litert=={known_version()}.*'"
        raise EdgekitError("EK-ENGINE", f"operators are traced on LiteRT {known_version()}, this is {version}", hint)
    try:
        library = ctypes.CDLL(str(next(folder / "libLiteRt.so" for folder in package_folders("ai_edge_litert"))))
        for name, arguments in _FUNCTIONS.items():
            function = getattr(library, f"LiteRt{name}")
            function.restype, function.argtypes = _INT, arguments
        for name in _DESTROYED:
            function = getattr(library, f"LiteRtDestroy{name}")
            function.restype, function.argtypes = None, (_HANDLE,)
    except (OSError, AttributeError, StopIteration) as error:
        raise EdgekitError("EK-ENGINE", f"LiteRT's library is not what it should be: {error}") from error
    if ctypes.sizeof(RawEvent) != 104:
        raise EdgekitError("EK-ENGINE", "LiteRT's structures are of another size on this machine")
    return library


def known_version() -> str:
    return ".".join(map(str, _VERSION))


def owned_text(text: str) -> tuple[int, ctypes.c_void_p]:
    """A copy of *text* that LiteRT may keep, and the function by which it gives it back."""
    libc = ctypes.CDLL(None)
    libc.strdup.restype, libc.strdup.argtypes = ctypes.c_void_p, (ctypes.c_char_p,)
    return libc.strdup(text.encode()), ctypes.cast(libc.free, ctypes.c_void_p)
