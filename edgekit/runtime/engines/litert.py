"""LiteRT: ``.tflite`` files on the ``ai-edge-litert`` package."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.engines.base import Engine, Platform, Session
from edgekit.runtime.engines.interpreter import InterpreterSession
from edgekit.runtime.installed import package_folders, package_version
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
    trace = "litert"
    mark = 1

    def version(self) -> str | None:
        return package_version("ai-edge-litert")

    def import_library(self) -> None:
        import ai_edge_litert.interpreter  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        from ai_edge_litert.interpreter import Interpreter

        return InterpreterSession(self.name, Interpreter, data, signature, threads, method)


def library() -> Path:
    """LiteRT's own library, for the runner.

    Raises:
        EdgekitError: ``EK-ENGINE``: it is missing, or of a version that the runner does not know.
    """
    version = LiteRT().version()
    if version is None:
        raise EdgekitError("EK-ENGINE", "litert is not installed", LiteRT.install_hint)
    if not version.startswith(f"{native.LITERT}."):
        hint = f"pip install 'ai-edge-litert=={native.LITERT}.*'"
        raise EdgekitError("EK-ENGINE", f"operators are traced on LiteRT {native.LITERT}, this is {version}", hint)
    return next(folder / native.LITERT_LIBRARY for folder in package_folders("ai_edge_litert"))


ENGINE = LiteRT()
