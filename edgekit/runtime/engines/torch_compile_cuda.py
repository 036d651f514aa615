"""``torch.compile`` on a GPU: ``.pt2`` files through TorchInductor and Triton, on the first CUDA device."""

from __future__ import annotations

from edgekit.runtime.engines.base import Session, only_forward
from edgekit.runtime.engines.torch_compile import TorchCompile
from edgekit.runtime.engines.torch_device import CUDA, INSTALL_HINT, TorchDeviceSession, prepare, why_missing
from edgekit.tensors import Signature


class TorchCompileCuda(TorchCompile):
    name = "torch-compile-cuda"
    accelerator = "cuda"
    device = CUDA
    install_hint = f"{INSTALL_HINT}; and a C++ compiler: apt install g++"

    def why_missing(self) -> str:
        return why_missing() or super().why_missing()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        prepare(self.name)
        return TorchDeviceSession(self.name, signature, threads, lambda: self._compiled(data, signature))


ENGINE = TorchCompileCuda()
