"""Backends: what the operators of a file are lowered to."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from edgekit.errors import UsageError
from edgekit.registry import registry


@dataclass(frozen=True)
class Backend:
    """One of them.

    Attributes:
        title: What people call it.
        on_host: Whether the engines' packages have it on a desktop; otherwise a file for it is exported, not run.
        apps: Where it is then.
        delegate: How ``.pte`` files name it; empty for one that is none of ExecuTorch's.
        takes_all: Whether a file of which it takes nothing runs all the same.
        packages: Distributions that files for it depend on besides the exporter's.
        modules: What has to be importable to export for it.
        install: How to get that.
        remark: What there is to say of each file for it.
    """

    name: str
    title: str
    on_host: bool = True
    apps: str = "an app"
    delegate: str = ""
    takes_all: bool = False
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    install: str = ""
    remark: str = ""

    def check_installed(self) -> None:
        """Raise `UsageError` when what exporting for it takes is missing."""
        if missing := [module for module in self.modules if find_spec(module) is None]:
            what = f"files for {self.title} need {missing[0]}, which is not installed"
            raise UsageError("EK-MISSING-PACKAGE", what, self.install)


BACKENDS = registry(
    "backend",
    Backend("xnnpack", "XNNPACK", delegate="XnnpackBackend", takes_all=True),
    Backend("qnnpack", "QNNPACK"),
    # The engine's own kernels: nothing is delegated.
    Backend("cpu", "CPU"),
    # LiteRT's for GPUs takes the same file as the CPU.
    Backend(
        "gpu",
        "GPU",
        remark="run and checked on the CPU here: a phone's GPU computes in half precision, and was not tried",
    ),
    Backend(
        "vulkan",
        "Vulkan",
        on_host=False,
        apps="an Android app",
        delegate="VulkanBackend",
        modules=("executorch.backends.vulkan",),
        install="it is part of executorch: pip install 'edgekit[build]'",
    ),
    Backend(
        "coreml",
        "Core ML",
        on_host=False,
        apps="an iOS app",
        delegate="CoreMLBackend",
        packages=("coremltools",),
        modules=("coremltools", "executorch.backends.apple.coreml.executorchcoreml"),
        install="they come with executorch on Linux (x86_64) and macOS: pip install 'edgekit[build]'",
    ),
)
