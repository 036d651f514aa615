"""LiteRT: ``.tflite`` files on the ``ai-edge-litert`` package."""

from __future__ import annotations

from edgekit.runtime.engines.base import Engine, Platform, Session
from edgekit.runtime.engines.interpreter import InterpreterSession
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature


class LiteRT(Engine):
    name = "litert"
    formats = ("tflite",)
    #: Symbol versions in the wheels of ai-edge-litert 2.3.0, whose tag says 2.27.
    platforms = (Platform("x86_64", "2.34"), Platform("aarch64", "2.34"))
    install_hint = "pip install ai-edge-litert"
    is_reference = True
    tracer = "edgekit.runtime.profiler.tracing:trace_litert"
    package = "ai-edge-litert"
    in_runner = True
    mark = 1

    def version(self) -> str | None:
        return package_version("ai-edge-litert")

    def import_library(self) -> None:
        import ai_edge_litert.interpreter  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        from ai_edge_litert.interpreter import Interpreter

        return InterpreterSession(self.name, Interpreter, data, signature, threads, method)


ENGINE = LiteRT()
