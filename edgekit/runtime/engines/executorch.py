"""ExecuTorch: ``.pte`` files through the Python binding of the ``executorch`` package, which needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.runtime.engines.base import Session, failure, misfit, package_version
from edgekit.tensors import Signature, TensorSpec

#: Numbers of element types in a ``.pte`` (``executorch/runtime/core/portable_type/scalar_type.h``).
_DTYPES = {
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


class ExecuTorch:
    name = "executorch"
    formats: tuple[str, ...] = ("pte",)
    install_hint = 'pip install "edgekit[build]" (on a desktop: the binding needs torch)'

    def version(self) -> str | None:
        return package_version("executorch") if package_version("torch") else None

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        return BindingSession(data, signature, threads, method or "forward")


class BindingSession:
    """A `Session` on the torch binding.

    The thread pool belongs to the process, and delegates keep a pointer to it: it is resized only while no
    other session is open. `threads` is what the pool has.
    """

    _open_sessions = 0
    threads: int
    run_one: Callable[[np.ndarray], np.ndarray] | None = None

    def __init__(self, data: bytes, signature: Signature, threads: int, method: str):
        import torch
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        if BindingSession._open_sessions == 0 and portable_lib._threadpool_get_thread_count() != threads:
            portable_lib._unsafe_reset_threadpool(threads)
        self.threads = int(portable_lib._threadpool_get_thread_count())
        try:
            self._program = Runtime.get().load_program(data)
            self._method = self._program.load_method(method)
            meta = self._method.metadata
        except (RuntimeError, KeyError, ValueError) as error:
            raise failure(ExecuTorch.name, "load the model", error) from error
        if (meta.num_inputs(), meta.num_outputs()) != (len(signature.inputs), len(signature.outputs)):
            raise misfit(ExecuTorch.name, f"it has {meta.num_inputs()} inputs and {meta.num_outputs()} outputs")
        for index, spec in enumerate(signature.inputs):
            _check(spec, meta.input_tensor_meta(index))
        for index, spec in enumerate(signature.outputs):
            _check(spec, meta.output_tensor_meta(index))
        # Inputs are copied into tensors of our own: the binding takes neither read-only nor strided arrays.
        self._tensors = [torch.from_numpy(np.zeros(spec.shape, spec.dtype)) for spec in signature.inputs]
        self._views = [tensor.numpy() for tensor in self._tensors]
        self._execute = self._method.execute
        self._closed = False
        BindingSession._open_sessions += 1

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        for view, array in zip(self._views, inputs, strict=True):
            view[...] = array
        try:
            return [output.numpy() for output in self._execute(self._tensors)]  # the binding clones outputs
        except RuntimeError as error:
            raise failure(ExecuTorch.name, "run the model", error) from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._execute = _closed
        del self._method, self._program
        BindingSession._open_sessions -= 1


def _check(spec: TensorSpec, info: Any) -> None:
    dtype = _DTYPES.get(info.dtype(), "another type")
    if tuple(info.sizes()) != spec.shape or dtype != spec.dtype:
        what = f"{spec.name!r} is {dtype}{list(info.sizes())}, not {spec.dtype}{list(spec.shape)}"
        raise misfit(ExecuTorch.name, what)


def _closed(_: object) -> list[Any]:
    raise RuntimeError("the session is closed")


ENGINE = ExecuTorch()
