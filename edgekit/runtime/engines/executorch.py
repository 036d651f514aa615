"""ExecuTorch: ``.pte`` files through edgekit's own core, which needs no torch, or through torch's Python binding.

The binding takes hundreds of MB and ten seconds to import; it serves desktops on which the core cannot be built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.contents.pte import main_method
from edgekit.runtime.engines.base import Engine, Platform, Session, SteppedSession, Steps, WrongShape, failure, misfit
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature, TensorSpec


class ExecuTorch(Engine):
    name = "executorch"
    formats = ("pte",)
    #: Symbol versions in the libraries of executorch 1.5.1.
    platforms = (Platform("x86_64", "2.27"), Platform("aarch64", "2.27"))
    tracer = "edgekit.runtime.profiler.tracing:trace_executorch"
    package = "executorch"
    in_runner = True
    trace = "etdump"
    mark = 2

    @property
    def install_hint(self) -> str:
        return native.why_not() or f"pip install --no-deps executorch=={native.EXECUTORCH}"

    def version(self) -> str | None:
        return native.EXECUTORCH if native.why_not() is None else _binding_version()

    def import_library(self) -> None:
        try:
            _core()
        except EdgekitError as error:
            _refuse_unless_binding(error)
            import executorch.runtime  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        method = method or main_method(data)
        try:
            core = _core()
        except EdgekitError as error:
            _refuse_unless_binding(error)
            return BindingSession(data, signature, threads, method)
        return CoreSession(core, data, signature, threads, method)


class CoreSession(SteppedSession):
    """A `Session` on the core.

    The thread pool belongs to the process, and delegates keep a pointer to it: it is resized only while no other
    session is open. `threads` is what the pool has.

    Args:
        trace: Record events, for `take_trace`; a run then takes 3 to 5 percent longer and 20 KB more.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None
    _engine = ExecuTorch.name

    def __init__(
        self, core: Path, data: bytes, signature: Signature, threads: int, method: str, *, trace: bool = False
    ):
        from edgekit.runtime.native.binding import CoreMethod

        try:
            opened = CoreMethod(core, data, method, threads, trace=trace)
        except RuntimeError as error:
            raise failure(ExecuTorch.name, "load the model", error) from error
        self.threads = opened.threads
        self._method = opened
        try:
            _fit(signature, opened.inputs, opened.outputs)
        except EdgekitError:
            opened.close()  # the traceback keeps it, and it the pool
            raise
        #: Of the input that `run_one` takes; none once an input was resized.
        self._shape: list[tuple[int, ...] | None] = [signature.inputs[0].shape]
        self.run_one = self._run_one() if len(opened.inputs) == len(opened.outputs) == 1 else None
        self.steps = Steps(self._write, self._invoke, self._read)

    def take_trace(self) -> bytes:
        """The events since the model was loaded, or since the last call, as an ETDump file.

        Raises:
            EdgekitError: ``EK-RUN``: the session was opened without a trace.
        """
        try:
            return self._method.take_trace()
        except RuntimeError as error:
            raise failure(ExecuTorch.name, "hand over the trace", error) from error

    def close(self) -> None:
        self.run_one = self.steps = None
        self._method.close()

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        method = self._method
        try:
            for index, array in enumerate(inputs):
                if method.inputs[index].shape != array.shape:
                    self._shape[0] = None
                    method.resize(index, array.shape)
                method.inputs[index][...] = array
        except (RuntimeError, ValueError) as error:
            raise failure(ExecuTorch.name, "run the model", error) from error

    def _invoke(self) -> None:
        try:
            self._method.run()
        except RuntimeError as error:
            raise failure(ExecuTorch.name, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        return [output.copy() for output in self._method.outputs]

    def _run_one(self) -> Callable[[np.ndarray], np.ndarray]:
        """`run` for one array, with everything it needs at hand: each look-up costs more than a small layer."""
        (buffer,), (output,) = self._method.inputs, self._method.outputs
        execute, handle, check, copy, shape = *self._method.raw_run, output.copy, self._shape

        def run_one(array: np.ndarray) -> np.ndarray:
            if array.shape != shape[0]:  # numpy would repeat a smaller one
                raise WrongShape
            buffer[...] = array
            if execute(handle):
                try:
                    check()
                except RuntimeError as error:
                    raise failure(ExecuTorch.name, "run the model", error) from error
            result: np.ndarray = copy()
            return result

        return run_one


class BindingSession(SteppedSession):
    """A `Session` on torch's binding, with the same rule for threads as `CoreSession`."""

    _open_sessions = 0
    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    _engine = ExecuTorch.name

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
        _fit(
            signature,
            [_example(meta.input_tensor_meta(index)) for index in range(meta.num_inputs())],
            [_example(meta.output_tensor_meta(index)) for index in range(meta.num_outputs())],
        )
        # Inputs are copied into tensors of our own: the binding takes neither read-only nor strided arrays.
        self._tensors = [torch.from_numpy(np.zeros(spec.shape, spec.dtype)) for spec in signature.inputs]
        self._views = [tensor.numpy() for tensor in self._tensors]
        self._specs = signature.inputs
        self._results: list[Any] = []
        self.steps = Steps(self._write, self._invoke, self._read)
        BindingSession._open_sessions += 1

    def close(self) -> None:
        if self.steps is not None:
            self.steps = None
            del self._method, self._program
            BindingSession._open_sessions -= 1

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        import torch

        for index, (spec, array) in enumerate(zip(self._specs, inputs, strict=True)):
            if array.shape != self._views[index].shape:
                _check_within(spec, array)
                self._tensors[index] = torch.from_numpy(np.empty(array.shape, spec.dtype))
                self._views[index] = self._tensors[index].numpy()
            self._views[index][...] = array

    def _invoke(self) -> None:
        try:
            self._results = self._method.execute(self._tensors)
        except RuntimeError as error:
            raise failure(ExecuTorch.name, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        return [output.numpy() for output in self._results]  # the binding clones outputs


def traced_session(data: bytes, signature: Signature, threads: int, method: str | None = None) -> CoreSession:
    """A session whose events are recorded, for `CoreSession.take_trace`.

    Raises:
        EdgekitError: ``EK-ENGINE``: there is no core here; torch's binding keeps no such record.
    """
    return CoreSession(_core(), data, signature, threads, method or "forward", trace=True)


def _core() -> Path:
    """The core's library, built now if need be, with everything it needs loaded. Raises `EdgekitError` ``EK-ENGINE``:
    why that cannot be."""
    from edgekit.runtime.native.binding import load

    core = native.library()
    if core is None or native.why_not() is not None:
        from edgekit.runtime.native.build import build_here  # a dozen modules that most programs need not wait for

        core = build_here()
    try:
        load(core)
    except OSError as error:
        raise EdgekitError("EK-ENGINE", f"the ExecuTorch core does not load: {error}") from error
    return core


def _refuse_unless_binding(error: EdgekitError) -> None:
    """Raise *error* unless torch's binding may do what the core cannot: not where somebody has changed the core."""
    if error.code == "EK-FOREIGN" or _binding_version() is None:
        raise error


def _binding_version() -> str | None:
    return package_version("executorch") if package_version("torch") else None


def _fit(signature: Signature, inputs: Sequence[np.ndarray | None], outputs: Sequence[np.ndarray | None]) -> None:
    """Raise unless the file's tensors, None for one that numpy cannot hold, are those of *signature*."""
    if (len(inputs), len(outputs)) != (len(signature.inputs), len(signature.outputs)):
        raise misfit(ExecuTorch.name, f"it has {len(inputs)} inputs and {len(outputs)} outputs")
    for spec, found in zip((*signature.inputs, *signature.outputs), (*inputs, *outputs), strict=True):
        if found is None:
            raise misfit(ExecuTorch.name, f"{spec.name!r} is of a type that numpy lacks, not {spec.dtype}")
        if found.shape != spec.shape or found.dtype != np.dtype(spec.dtype):
            what = f"{spec.name!r} is {found.dtype}{list(found.shape)}, not {spec.dtype}{list(spec.shape)}"
            raise misfit(ExecuTorch.name, what)


def _check_within(spec: TensorSpec, array: np.ndarray) -> None:
    """Raise unless *array* is on no axis longer than *spec*: executorch 1.5.1 looks at the number of values only."""
    if array.ndim != len(spec.shape) or any(size > most for size, most in zip(array.shape, spec.shape, strict=True)):
        what = f"input {spec.name!r} cannot be {list(array.shape)}, the method takes at most {list(spec.shape)}"
        raise failure(ExecuTorch.name, "run the model", ValueError(what))


def _example(info: Any) -> np.ndarray | None:
    from edgekit.runtime.native.binding import DTYPES

    dtype = DTYPES.get(info.dtype())
    return None if dtype is None else np.broadcast_to(np.zeros((), dtype), tuple(info.sizes()))


ENGINE = ExecuTorch()
