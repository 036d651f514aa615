"""ONNX Runtime on a GPU: ``.onnx`` files on the ``onnxruntime-gpu`` package, on the first CUDA device, in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines import cuda
from edgekit.runtime.engines.base import Session, SteppedSession, Steps, failure, only_forward
from edgekit.runtime.engines.onnxruntime import OnnxRuntime, fit, library, names_in_file, options
from edgekit.tensors import Signature

#: ONNX Runtime's provider and name of the device that each stands for.
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    # TF32 would round float32 to 10 bits.
    "cuda": ("CUDAExecutionProvider", {"device_id": "0", "use_tf32": "0"}),
}


class OnnxRuntimeCuda(OnnxRuntime):
    name = "onnxruntime-cuda"
    accelerator = "cuda"
    package = ""
    install_hint = "it takes an NVIDIA GPU with its driver: pip install onnxruntime-gpu in place of onnxruntime"

    def why_missing(self) -> str:
        installed = super().version()
        if installed is None:
            return ""
        if not cuda.onnxruntime_has_cuda():
            return f"onnxruntime {installed} is a build without CUDA"
        return cuda.why_no_device("onnxruntime")

    def version(self) -> str | None:
        """The version of ONNX Runtime; None without a GPU or without CUDA in it, too."""
        return None if self.why_missing() else super().version()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return OnnxDeviceSession(self.name, data, signature, threads, "cuda")


class OnnxDeviceSession(SteppedSession):
    """A `Session` whose inputs and outputs stay on a device between the steps, each of which waits for the device.

    Args:
        engine, data, signature: The engine's name, and the rest as for `edgekit.runtime.engines.base.Engine.open`.
        threads: For operators that the device has no kernel for.
        device: ``cuda``, or ``cpu``.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None = None

    def __init__(self, engine: str, data: bytes, signature: Signature, threads: int, device: str):
        onnxruntime = library()
        self._engine = engine
        self.threads = threads
        provider, settings = _PROVIDERS[device]
        try:
            session = onnxruntime.InferenceSession(data, options(threads), providers=[(provider, settings)])
            if session.get_providers()[0] != provider:  # it goes on without one that does not start
                raise EdgekitError(
                    "EK-ENGINE", f"{engine}: {provider} does not start", "nvidia-smi tells what is there"
                )
            inward, outward = names_in_file(signature)
            fit(engine, "inputs", signature.inputs, inward, session.get_inputs())
            fit(engine, "outputs", signature.outputs, outward, session.get_outputs())
            make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
            self._inputs = [make(spec.shape, np.dtype(spec.dtype), device, 0) for spec in signature.inputs]
            self._outputs = [make(spec.shape, np.dtype(spec.dtype), device, 0) for spec in signature.outputs]
            self._binding = session.io_binding()
            for name, value in zip(inward, self._inputs, strict=True):
                self._binding.bind_ortvalue_input(name, value)
            for name, value in zip(outward, self._outputs, strict=True):
                self._binding.bind_ortvalue_output(name, value)
        except EdgekitError:
            raise
        except Exception as error:  # the only base that its exceptions have in common
            raise failure(engine, "load the model", error) from error
        self._session = session
        self.steps = Steps(self._write, self._invoke, self._read)

    def close(self) -> None:
        self._session = self._binding = self.steps = None
        self._inputs = self._outputs = []  # the device has no memory to spare

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        try:
            for value, array in zip(self._inputs, inputs, strict=True):
                value.update_inplace(np.ascontiguousarray(array))
            self._binding.synchronize_inputs()
        except Exception as error:  # see above
            raise failure(self._engine, "copy the inputs", error) from error

    def _invoke(self) -> None:
        session: Any = self._session
        try:
            session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        except Exception as error:  # see above
            raise failure(self._engine, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        try:
            return [np.array(value.numpy()) for value in self._outputs]  # on the CPU, numpy() is a view
        except Exception as error:  # see above
            raise failure(self._engine, "copy the outputs", error) from error


ENGINE = OnnxRuntimeCuda()
