"""PyTorch Mobile: ``.ptl`` files on torch's lite interpreter. Legacy: torch 2.13 is the last to be tested."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import Session, failure, misfit, missing_method, package_version
from edgekit.tensors import Signature


class PyTorchMobile:
    name = "pytorch-mobile"
    formats: tuple[str, ...] = ("ptl",)
    install_hint = 'pip install "edgekit[build]" (it is part of torch)'

    def version(self) -> str | None:
        return package_version("torch")

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        if method not in (None, "forward"):
            raise missing_method(self.name, method, ("forward",))
        return LiteInterpreterSession(data, signature, threads)


class LiteInterpreterSession:
    """A `Session` on ``torch.jit.mobile``. Its thread count is that of torch, for the whole process.

    A ``.ptl`` does not say what goes in and out, so outputs are checked when they come.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None = None

    def __init__(self, data: bytes, signature: Signature, threads: int):
        import torch
        from torch.jit.mobile import _load_for_lite_interpreter

        self._torch = torch
        self._signature = signature
        torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        if "qnnpack" in torch.backends.quantized.supported_engines:
            torch.backends.quantized.engine = "qnnpack"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = _load_for_lite_interpreter(io.BytesIO(data))
        except RuntimeError as error:
            raise failure(PyTorchMobile.name, "load the model", error) from error
        self._tensors = [torch.from_numpy(np.zeros(spec.shape, spec.dtype)) for spec in signature.inputs]
        self._views = [tensor.numpy() for tensor in self._tensors]
        self._closed = False

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self._closed:
            raise EdgekitError("EK-RUN", f"{PyTorchMobile.name} failed to run the model: the session is closed")
        for view, array in zip(self._views, inputs, strict=True):
            view[...] = array
        try:
            with self._torch.inference_mode():
                results = self._module(*self._tensors)
        except RuntimeError as error:
            raise failure(PyTorchMobile.name, "run the model", error) from error
        if isinstance(results, self._torch.Tensor):
            results = (results,)
        # A copy, because an output may be a view of an input or of a constant.
        outputs = [np.array(result.numpy()) for result in results]
        specs = self._signature.outputs
        if [(array.shape, array.dtype) for array in outputs] != [(spec.shape, np.dtype(spec.dtype)) for spec in specs]:
            shown = ", ".join(f"{array.dtype}{list(array.shape)}" for array in outputs)
            raise misfit(PyTorchMobile.name, f"its outputs are {shown}")
        return outputs

    def close(self) -> None:
        self._closed = True
        self._module = None


ENGINE = PyTorchMobile()
