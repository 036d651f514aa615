"""Eager torch on a GPU: ``.pt2`` files on the first CUDA device."""

from __future__ import annotations

from edgekit.runtime.engines.base import Session, only_forward
from edgekit.runtime.engines.torch_device import CUDA, INSTALL_HINT, TorchDeviceSession, prepare, why_missing
from edgekit.runtime.engines.torch_eager import TorchEager, load_program
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature


class TorchCuda(TorchEager):
    name = "torch-cuda"
    accelerator = "cuda"
    install_hint = INSTALL_HINT

    def why_missing(self) -> str:
        return why_missing()

    def version(self) -> str | None:
        """The version of torch; None without a GPU or without CUDA in torch, too."""
        return None if self.why_missing() else package_version("torch")

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        prepare(self.name)
        return TorchDeviceSession(self.name, signature, threads, lambda: load_program(self.name, data, signature, CUDA))


ENGINE = TorchCuda()
