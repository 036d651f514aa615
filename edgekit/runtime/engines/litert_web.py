"""LiteRT in browsers (LiteRT.js): ``.tflite`` files as WebAssembly on the CPU, or on the GPU through WebGPU.

No library here loads them. They are engines all the same, because profiles have rows of them.
"""

from __future__ import annotations

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import Engine, Session
from edgekit.tensors import Signature


class LiteRTWeb(Engine):
    formats = ("tflite",)
    install_hint = "edgekit phone BUNDLE  serves a page that runs it in any browser"
    in_browser = True
    mark = 1

    def __init__(self, name: str, accelerator: str):
        self.name = name
        self.accelerator, self.is_reference = accelerator, accelerator == Engine.accelerator

    def why_missing(self) -> str:
        return "it runs in a browser: edgekit phone BUNDLE"

    def version(self) -> None:
        """None: the page brings it."""

    def import_library(self) -> None:
        raise self._refusal()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        raise self._refusal()

    def _refusal(self) -> EdgekitError:
        return EdgekitError("EK-ENGINE", f"{self.name} cannot run here: {self.why_missing()}", self.install_hint)


ENGINE = LiteRTWeb("litert-web", "cpu")
WEBGPU = LiteRTWeb("litert-webgpu", "webgpu")
