"""tflite-runtime: ``.tflite`` files on old systems and 32-bit boards.

The package is at its end (2.14.0, Python 3.11) and fails with numpy 2 at the first model, which ExecuTorch
needs. So it runs here when numpy is older, and otherwise in a process of its own environment
(`edgekit.runtime.environments`).
"""

from __future__ import annotations

from edgekit.runtime import environments
from edgekit.runtime.engines.base import Engine, Platform, Session
from edgekit.runtime.engines.interpreter import InterpreterSession
from edgekit.tensors import Signature


class TFLiteRuntime(Engine):
    name = "tflite-runtime"
    formats = ("tflite",)
    #: Of the wheels of tflite-runtime 2.14.0: symbol versions for x86_64, tags for Arm, on which pip insists.
    platforms = (Platform("x86_64", "2.29"), Platform("aarch64", "2.34"), Platform("armv7l", "2.34", ("neon",)))
    install_hint = environments.install_hint("tflite-runtime")
    package = "tflite-runtime"
    mark = 3

    def version(self) -> str | None:
        return environments.installed_version(self.name)

    def import_library(self) -> None:
        if not environments.is_needed(self.name):
            import tflite_runtime.interpreter  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        if environments.is_needed(self.name):
            from edgekit.runtime.remote import Server

            return Server.start(self.name).open(data, "tflite", signature, threads, method, owned=True)
        from tflite_runtime.interpreter import Interpreter

        return InterpreterSession(self.name, Interpreter, data, signature, threads, method)


ENGINE = TFLiteRuntime()
