"""Inference engines, by name. An engine's library is imported when a model is opened, not before."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.runtime.contents import checked
from edgekit.runtime.engines.base import Engine, Session
from edgekit.tensors import Signature

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

__all__ = [
    "BROWSER_ENGINES",
    "ENGINES",
    "ENTRY_POINTS",
    "NOT_INSTALLED",
    "Engine",
    "Session",
    "available",
    "engine",
    "engine_names",
    "is_known",
    "open_session",
    "why_missing",
]

#: Name -> the module whose ``ENGINE`` it is, or ``MODULE:NAME``. Order is the order in which equals are preferred.
ENGINES = {
    "litert": "edgekit.runtime.engines.litert",
    "executorch": "edgekit.runtime.engines.executorch",
    "tflite-runtime": "edgekit.runtime.engines.tflite_runtime",
    "pytorch-mobile": "edgekit.runtime.engines.pytorch_mobile",
    "onnxruntime": "edgekit.runtime.engines.onnxruntime",
    "tensorflow": "edgekit.runtime.engines.tensorflow",
    "torch": "edgekit.runtime.engines.torch_eager",
    "torch-compile": "edgekit.runtime.engines.torch_compile",
    "onnxruntime-cuda": "edgekit.runtime.engines.onnxruntime_cuda",
    "torch-cuda": "edgekit.runtime.engines.torch_cuda",
    "torch-compile-cuda": "edgekit.runtime.engines.torch_compile_cuda",
    "litert-web": "edgekit.runtime.engines.litert_web",
    "litert-webgpu": "edgekit.runtime.engines.litert_web:WEBGPU",
}

#: Those that only browsers have.
BROWSER_ENGINES = ("litert-web", "litert-webgpu")

NOT_INSTALLED = "not installed"

#: Entry point group in which other packages register an `Engine` under its name.
ENTRY_POINTS = "edgekit.engines"


def engine_names() -> tuple[str, ...]:
    """Every known engine: edgekit's own, then those of other packages."""
    return (*ENGINES, *(point.name for point in _entry_points() if point.name not in ENGINES))


def is_known(name: str) -> bool:
    """Whether there is an engine called *name*; other packages are only asked for what edgekit has not itself."""
    return name in ENGINES or any(point.name == name for point in _entry_points())


def engine(name: str) -> Engine:
    """The engine called *name*, whether or not its library is installed.

    Raises:
        UsageError: ``EK-ENGINE``: no such engine.
    """
    if name in ENGINES:
        module, _, attribute = ENGINES[name].partition(":")
        own: Engine = getattr(import_module(module), attribute or "ENGINE")
        return own
    for point in _entry_points().select(name=name):
        third_party: Engine = point.load()
        return third_party
    raise UsageError("EK-ENGINE", f"there is no engine {name!r}", did_you_mean(name, engine_names()))


def available(format: str | None = None) -> dict[str, str]:
    """Name -> version of each installed engine, optionally only of those that load *format*."""
    versions = {}
    for name in engine_names():
        candidate = engine(name)
        version = candidate.version()
        if version is not None and (format is None or format in candidate.formats):
            versions[name] = version
    return versions


def why_missing(name: str) -> str:
    """Why the engine called *name* has no version here, in one line: its own reason, where it knows one."""
    explain: Callable[[], str] | None = getattr(engine(name), "why_missing", None)
    return (explain() if explain is not None else "") or NOT_INSTALLED


def open_session(
    name: str, data: bytes, format: str, signature: Signature, threads: int, method: str | None = None
) -> Session:
    """Read a model file as data, and load it on the engine called *name* (see `Engine.open`).

    Raises:
        BundleError: ``EK-CONTENTS`` or ``EK-BUNDLE``: the file holds more than data, or is damaged (see
            `edgekit.runtime.contents`).
        EdgekitError: ``EK-ENGINE`` when the engine is unknown, not installed or does not load *format*;
            ``EK-ARGUMENT`` for a thread count below 1; ``EK-RUN`` when it refuses the file.
    """
    chosen = engine(name)
    if format not in chosen.formats:
        raise UsageError("EK-ENGINE", f"{name} loads {', '.join(chosen.formats)} files, not {format}")
    if threads < 1:
        raise UsageError("EK-ARGUMENT", f"threads must be at least 1, not {threads}")
    if chosen.version() is None:
        raise EdgekitError("EK-ENGINE", f"{name} cannot run here: {why_missing(name)}", chosen.install_hint)
    return chosen.open(bytes(checked(data, format).data), signature, threads, method)


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
