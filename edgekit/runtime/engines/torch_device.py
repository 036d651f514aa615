"""torch on a GPU: ``.pt2`` files on the first CUDA device, eager or through TorchInductor and Triton."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines import cuda
from edgekit.runtime.engines.base import Session, failure, only_forward
from edgekit.runtime.engines.torch_compile import TorchCompile
from edgekit.runtime.engines.torch_eager import TorchEager, load_program
from edgekit.runtime.engines.torch_session import TorchSession
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature

#: torch's name of the first GPU; with its number, because programs hold assertions that compare it so.
CUDA = "cuda:0"
_INSTALL_HINT = "it takes an NVIDIA GPU with its driver, and a build of torch for CUDA, as pip install torch brings"


class TorchCuda(TorchEager):
    name = "torch-cuda"
    accelerator = "cuda"
    install_hint = _INSTALL_HINT

    def why_missing(self) -> str:
        return _why_missing()

    def version(self) -> str | None:
        """The version of torch; None without a GPU or without CUDA in torch, too."""
        return None if self.why_missing() else super().version()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        _prepare(self.name)
        return TorchDeviceSession(self.name, signature, threads, lambda: load_program(self.name, data, signature, CUDA))


class TorchCompileCuda(TorchCompile):
    name = "torch-compile-cuda"
    accelerator = "cuda"
    device = CUDA
    install_hint = f"{_INSTALL_HINT}; and a C++ compiler: apt install g++"

    def why_missing(self) -> str:
        return _why_missing() or super().why_missing()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        _prepare(self.name)
        return TorchDeviceSession(self.name, signature, threads, lambda: self._compiled(data, signature))


class TorchDeviceSession(TorchSession):
    """A `TorchSession` on a device with memory and a queue of its own.

    Inputs and outputs are copied from and to the host's memory, and each step waits until the device has done it: a
    call of torch only puts work into the device's queue.

    Args:
        engine, signature, threads, load: See `TorchSession`; the function has to be on the device.
        device: torch's name of it.
    """

    def __init__(
        self,
        engine: str,
        signature: Signature,
        threads: int,
        load: Callable[[], Callable[..., Any]],
        device: str = CUDA,
    ):
        super().__init__(engine, signature, threads, lambda: self._waiting(load()))
        self._device = device
        self._host = self._tensors  # what `_views` look into
        try:
            self._tensors = [tensor.to(device, copy=True) for tensor in self._host]
        except RuntimeError as error:
            self.close()
            raise failure(engine, "load the model", error) from error

    def close(self) -> None:
        super().close()
        self._tensors, self._results = [], ()  # the device has no memory to spare

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        super()._write(inputs)
        try:
            for tensor, host in zip(self._tensors, self._host, strict=True):
                tensor.copy_(host)
            self._wait()
        except RuntimeError as error:
            raise failure(self._engine, "copy the inputs", error) from error

    def _read(self) -> list[np.ndarray]:
        results = (self._results,) if isinstance(self._results, self._torch.Tensor) else self._results
        try:
            self._results = [result.cpu() for result in results]  # waits
        except RuntimeError as error:
            raise failure(self._engine, "copy the outputs", error) from error
        return super()._read()

    def _waiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """*function*, not done before the device is."""

        def call(*tensors: Any) -> Any:
            results = function(*tensors)
            self._wait()
            return results

        return call

    def _wait(self) -> None:
        if self._device != "cpu":
            self._torch.cuda.synchronize(self._device)


def _why_missing() -> str:
    """Why torch has no CUDA here, in one line; empty when it has, or is not installed."""
    if package_version("torch") is None:
        return ""
    if cuda.torch_cuda() is None:
        return f"torch {package_version('torch')} is a build without CUDA"
    return cuda.why_no_device("torch")


def _prepare(engine: str) -> None:
    """Refuse a device that torch cannot use, and keep torch from rounding float32 to TF32, as it does in convolutions.
    Raises `EdgekitError` ``EK-ENGINE``."""
    import torch

    if not torch.cuda.is_available():  # a driver too old, for example
        raise EdgekitError("EK-ENGINE", f"{engine}: torch sees no CUDA device", "nvidia-smi tells what the driver has")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


EAGER, COMPILED = TorchCuda(), TorchCompileCuda()
