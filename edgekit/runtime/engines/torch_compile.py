"""``torch.compile``: ``.pt2`` files through TorchInductor, which writes C++ and has it compiled when a model is opened.

That takes seconds for a small network and a minute or more for a large one, the first time; what was compiled is kept
under `edgekit.private.home` unless ``TORCHINDUCTOR_CACHE_DIR`` names another place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from edgekit.private import home, private_folder
from edgekit.runtime import children
from edgekit.runtime.engines.base import Engine, Session, failure, only_forward
from edgekit.runtime.engines.torch_eager import load_program
from edgekit.runtime.engines.torch_session import TorchSession
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature


class TorchCompile(Engine):
    name = "torch-compile"
    #: torch's name of what it compiles for.
    device = "cpu"
    formats = ("pt2",)
    install_hint = 'pip install "edgekit[build]", and a C++ compiler: apt install g++'
    mark = 7

    def version(self) -> str | None:
        """The version of torch; None without a C++ compiler, too."""
        return None if self.why_missing() else package_version("torch")

    def why_missing(self) -> str:
        compiler = os.environ.get("CXX", "g++")
        return "" if children.which(compiler) else f"there is no C++ compiler ({compiler})"

    def import_library(self) -> None:
        import torch._inductor  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return TorchSession(self.name, signature, threads, lambda: self._compiled(data, signature))

    def _compiled(self, data: bytes, signature: Signature) -> Callable[..., Any]:
        """The program, compiled for torch's present number of threads, and called once: that is when it is compiled."""
        import torch

        # Its own default is a folder of a known name under /tmp, from which it then loads libraries.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder(home() / "torch-compile")))
        function: Callable[..., Any] = torch.compile(
            load_program(self.name, data, signature, self.device), fullgraph=True, dynamic=False
        )
        zeros = [
            torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype), device=self.device) for spec in signature.inputs
        ]
        try:
            with torch.inference_mode():
                function(*zeros)
        except RuntimeError as error:
            # The compiler's own first complaint, where there is one among the pages that torch makes of it.
            complaint = next((line.strip() for line in str(error).splitlines() if "error:" in line), None)
            reason = RuntimeError(complaint) if complaint else error
            raise failure(self.name, "compile the model", reason) from error
        return function


ENGINE = TorchCompile()
