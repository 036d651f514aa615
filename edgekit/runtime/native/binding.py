"""The core through ctypes: a method of a ``.pte`` file whose inputs and outputs are numpy arrays."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edgekit.runtime import native

MAX_RANK = 16

#: Numbers of element types (``executorch/runtime/core/portable_type/scalar_type.h``).
DTYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
}


class _Tensor(ctypes.Structure):
    """``ek_tensor`` of ``core.h``."""

    _fields_ = (
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.c_int64 * MAX_RANK),
        ("strides", ctypes.c_int64 * MAX_RANK),
        ("size_bytes", ctypes.c_int64),
        ("data", ctypes.c_void_p),
    )


class CoreMethod:
    """One method of one file, open in the core. Not thread-safe.

    Attributes:
        inputs, outputs: Arrays over the model's own memory, gone after `close`: write every input before each
            call of `run`, copy the outputs after it. None for a tensor whose element type numpy does not have. Once
            an input was resized, those of the outputs are other arrays after each run.
        threads: What the pool of this process has.

    Raises:
        RuntimeError: The core refuses the file; in ExecuTorch's own words.
        OSError: The libraries do not load.
    """

    _open = 0

    def __init__(self, core: Path, data: bytes, method: str, threads: int, *, trace: bool = False):
        library = load(core)
        self._library = library
        if CoreMethod._open and library.ek_thread_count() != threads:
            gc.collect()  # one that was dropped without `close` may lie in a cycle, and holds the pool
        handle = library.ek_open(data, len(data), method.encode(), threads, trace)
        if not handle:
            self._fail()
        self._handle = ctypes.c_void_p(handle)
        CoreMethod._open += 1
        self._data = data if library.ek_needs_data(handle) else None  # borrowed by the model
        self.threads = int(library.ek_thread_count())
        self._resized = False
        inputs, outputs = library.ek_input_count(handle), library.ek_output_count(handle)
        try:
            self.inputs: tuple[Any, ...] = tuple(
                self._array(library.ek_describe_input, index) for index in range(inputs)
            )
            self.outputs: tuple[Any, ...] = tuple(
                self._array(library.ek_describe_output, index) for index in range(outputs)
            )
        except BaseException:
            self.close()  # the traceback keeps this object, and it the pool
            raise

    def resize(self, index: int, shape: tuple[int, ...]) -> None:
        """Give an input of a method with open sizes another *shape*, from now on.

        Raises:
            RuntimeError: It is longer on an axis than the method takes, or the method has fixed sizes.
        """
        if self._library.ek_resize_input(self._handle, index, (ctypes.c_int64 * len(shape))(*shape), len(shape)):
            self._fail()
        self._resized = True
        arrays = list(self.inputs)
        arrays[index] = self._array(self._library.ek_describe_input, index)
        self.inputs = tuple(arrays)

    def run(self) -> None:
        """Run the method on what is in `inputs`. Raises `RuntimeError`: ExecuTorch failed; in its own words."""
        if self._library.ek_run_in_place(self._handle):
            self._fail()
        if self._resized:
            describe = self._library.ek_describe_output
            self.outputs = tuple(self._array(describe, index) for index in range(len(self.outputs)))

    @property
    def raw_run(self) -> tuple[Callable[[object], int], object, Callable[[], NoReturn]]:
        """For callers who count tenths of microseconds: a function, its argument, and what to call if it is not 0."""
        return self._library.ek_run_in_place, self._handle, self._fail

    def take_trace(self) -> bytes:
        """The events since the method was opened, or since the last call, as an ETDump file.

        Raises:
            RuntimeError: The method was opened without a trace, or nothing ran since the last call.
        """
        data, size = ctypes.c_void_p(), ctypes.c_size_t()
        if self._library.ek_take_trace(self._handle, ctypes.byref(data), ctypes.byref(size)):
            self._fail()
        try:
            return ctypes.string_at(data, size.value)
        finally:
            self._library.ek_free(data)

    def close(self) -> None:
        """Release the model. Closing twice is harmless."""
        self.inputs = self.outputs = ()
        handle, self._handle = self._handle, ctypes.c_void_p()
        if handle:
            CoreMethod._open -= 1
            self._library.ek_close(handle)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self.close()

    def _fail(self) -> NoReturn:
        raise RuntimeError(self._library.ek_error().decode("utf-8", "replace"))

    def _array(self, describe: Any, index: int) -> np.ndarray | None:
        facts = _Tensor()
        if describe(self._handle, index, ctypes.byref(facts)):
            self._fail()
        dtype = DTYPES.get(facts.dtype)
        if dtype is None:
            return None
        shape, strides = tuple(facts.shape[: facts.rank]), tuple(facts.strides[: facts.rank])
        if facts.size_bytes == 0:
            return np.empty(shape, dtype)
        memory = (ctypes.c_char * facts.size_bytes).from_address(facts.data)
        return np.ndarray(shape, dtype, memory, strides=strides)


@cache
def load(core: Path) -> ctypes.CDLL:
    """The core's library, with the types of its functions.

    Raises:
        OSError: It, or a library it needs, does not load or has another interface.
    """
    libraries = native.executorch_libraries(core)
    if libraries is None:
        raise OSError(native.why_not() or "ExecuTorch's libraries are missing")
    if libraries != core.parent:
        for name in native.EXECUTORCH_LIBRARIES:  # the loader then takes these for those the core asks for by name
            ctypes.CDLL(str(libraries / name))
    library = ctypes.CDLL(str(core))
    if library.ek_interface() != native.INTERFACE:
        raise OSError(f"{core} has interface {library.ek_interface()}, this edgekit needs {native.INTERFACE}")
    model, number, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "ek_executorch_version": (text, ()),
        "ek_error": (text, ()),
        "ek_open": (model, (text, ctypes.c_size_t, text, number, number)),
        "ek_open_file": (model, (text, text, number, number)),
        "ek_close": (None, (model,)),
        "ek_needs_data": (number, (model,)),
        "ek_thread_count": (number, ()),
        "ek_method_count": (number, (model,)),
        "ek_method_name": (text, (model, number)),
        "ek_input_count": (number, (model,)),
        "ek_output_count": (number, (model,)),
        "ek_describe_input": (number, (model, number, ctypes.POINTER(_Tensor))),
        "ek_describe_output": (number, (model, number, ctypes.POINTER(_Tensor))),
        "ek_set_input": (number, (model, number, ctypes.c_void_p, ctypes.c_size_t, number)),
        "ek_get_output": (number, (model, number, ctypes.c_void_p, ctypes.c_size_t, number)),
        "ek_resize_input": (number, (model, number, ctypes.POINTER(ctypes.c_int64), number)),
        "ek_run": (number, (model,)),
        "ek_run_in_place": (number, (model,)),
        "ek_take_trace": (number, (model, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t))),
        "ek_free": (None, (ctypes.c_void_p,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
