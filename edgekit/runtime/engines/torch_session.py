"""What the engines on torch share: numpy in, numpy out, and one number of threads for the whole process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.runtime.engines.base import SteppedSession, Steps, failure, misfit
from edgekit.tensors import Signature

#: What torch raises for a file that it cannot use, by experience.
_REFUSALS = (
    AssertionError, AttributeError, EOFError, IndexError, KeyError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


class TorchSession(SteppedSession):
    """A `Session` on a function of tensors.

    torch has one number of threads for the whole process. It is changed only while no other session of torch is
    open; `threads` is what torch has.

    Args:
        engine: The engine's name.
        load: Makes the function, after the number of threads was set. It takes one tensor per input of *signature*
            and returns a tensor, or several.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    _open_sessions = 0

    def __init__(self, engine: str, signature: Signature, threads: int, load: Callable[[], Callable[..., Any]]):
        import torch

        self._torch = torch
        self._engine = engine
        self._outputs = [(spec.shape, np.dtype(spec.dtype)) for spec in signature.outputs]
        if TorchSession._open_sessions == 0:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        try:
            self._function: Callable[..., Any] | None = load()
        except _REFUSALS as error:
            raise failure(engine, "load the model", error) from error
        # Inputs are copied into tensors of our own: torch takes neither read-only nor every strided array.
        self._tensors = [torch.from_numpy(np.zeros(spec.shape, spec.dtype)) for spec in signature.inputs]
        self._views = [tensor.numpy() for tensor in self._tensors]
        self._results: Any = ()
        self.steps = Steps(self._write, self._invoke, self._read)
        TorchSession._open_sessions += 1

    def close(self) -> None:
        if self._function is not None:
            self._function = self.steps = None
            TorchSession._open_sessions -= 1

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        for view, array in zip(self._views, inputs, strict=True):
            view[...] = array

    def _invoke(self) -> None:
        assert self._function is not None
        try:
            with self._torch.inference_mode():
                self._results = self._function(*self._tensors)
        except RuntimeError as error:
            raise failure(self._engine, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        results = (self._results,) if isinstance(self._results, self._torch.Tensor) else self._results
        # A copy, because an output may be a view of an input or of a constant.
        outputs = [np.array(result.numpy()) for result in results]
        if [(array.shape, array.dtype) for array in outputs] != self._outputs:
            shown = ", ".join(f"{array.dtype}{list(array.shape)}" for array in outputs)
            raise misfit(self._engine, f"its outputs are {shown}")
        return outputs
