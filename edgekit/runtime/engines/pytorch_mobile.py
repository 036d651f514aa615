"""PyTorch Mobile: ``.ptl`` files on torch's lite interpreter. Legacy: torch 2.13 is the last to be tested."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

from edgekit.runtime.engines.base import Engine, Session, only_forward
from edgekit.runtime.engines.torch_session import TorchSession
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature


class PyTorchMobile(Engine):
    name = "pytorch-mobile"
    formats = ("ptl",)
    install_hint = 'pip install "edgekit[build]" (it is part of torch)'
    not_sent = "they need all of PyTorch, 427 MB packed"
    mark = 4

    def version(self) -> str | None:
        return package_version("torch")

    def import_library(self) -> None:
        import torch.jit.mobile  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return TorchSession(self.name, signature, threads, lambda: _interpreter(data))


def _interpreter(data: bytes) -> Callable[..., Any]:
    """The lite interpreter on the file. A ``.ptl`` does not say what goes in and out: outputs tell when they come."""
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    if "qnnpack" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "qnnpack"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: Callable[..., Any] = _load_for_lite_interpreter(io.BytesIO(data))
    return module


ENGINE = PyTorchMobile()
