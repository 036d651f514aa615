"""The packages edgekit works with: which versions were proven together, and which are installed here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from edgekit.engines import ENGINES
from edgekit.errors import UsageError
from edgekit.runtime.engines.base import Package, version_numbers

_PACKAGES = (
    Package("click", None, "8.1", None, "the command line"),
    Package("numpy", None, "1.26", None, "everything"),
    Package("torch", "build", "2.13", "2.14", "PyTorch models: training and export"),
    Package("torchao", "build", "0.18", "0.19", "int8 .pte"),
    Package("executorch", "build", "1.5.1", "1.6", "exporting and running .pte"),
    Package("litert-torch", "build", "0.10", "0.11", ".tflite from PyTorch models"),
    Package("ai-edge-quantizer", "build", "0.10", "0.11", "fp16 and int8 .tflite"),
    Package("ai-edge-litert", "build", "2.3", "2.4", "running .tflite"),
    Package("pydantic", "build", "2.8", "3", "project files"),
    Package("pillow", "build", "10", None, "pictures as data and as input"),
    Package("keras", "keras", "3.15", "3.16", "Keras models"),
    Package("tensorflow", "keras", "2.21", "2.22", ".tflite from Keras models and SavedModels", ("tensorflow-cpu",)),
    Package("onnx", "onnx", "1.23", "1.24", "reading .onnx"),
    Package("onnxruntime", "onnx", "1.32", "1.33", "running .onnx"),
    Package("onnxscript", "baselines", "0.7", "0.8", ".onnx from PyTorch and Keras models"),
    Package("scipy", "profile", "1.14", None, "statistics of profiles"),
    Package("pandas", "profile", "2.2", None, "profiles as data frames, and their charts"),
    Package("altair", "profile", "6", "7", "charts of profiles"),
    Package("vl-convert-python", "profile", "1.7", "2", "charts of profiles"),
    Package("ziglang", "native", "0.17", "0.18", "building ExecuTorch's core where there is no g++"),
    Package("aiohttp", "phone", "3.11", "4", "the page for phones"),
    Package("segno", "phone", "1.6", "2", "its QR code"),
    Package("cryptography", "phone", "44", None, "its certificate"),
)


@dataclass(frozen=True)
class Installed:
    """One package here: ``status`` is ``ok``, ``missing`` or ``unproven`` (a version nobody tried)."""

    package: Package
    version: str | None
    status: str


def packages() -> tuple[Package, ...]:
    """Every one of them: also those that an engine says itself that it takes."""
    return (*_PACKAGES, *(package for engine in ENGINES for package in engine.packages))


def installed_packages() -> tuple[Installed, ...]:
    """All `packages`, looked up without importing them."""
    return tuple(map(_look_up, packages()))


def missing(error: ModuleNotFoundError) -> UsageError | None:
    """What to say where *error* is for a package of an extra; None for any other module."""
    name = (error.name or "").partition(".")[0].replace("_", "-")
    package = next((each for each in packages() if each.name == name and each.extra is not None), None)
    if package is None:
        return None
    hint = f"pip install 'edgekit[{package.extra}]'"
    return UsageError("EK-MISSING-PACKAGE", f"this needs {name}, which is not installed", hint)


def _look_up(package: Package) -> Installed:
    for name in (package.name, *package.aliases):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return Installed(package, version, "ok" if is_proven(package, version) else "unproven")
    return Installed(package, None, "missing")


def is_proven(package: Package, version: str) -> bool:
    """Whether *version* of *package* is one that was tried."""
    here = _release(version)
    if package.below == package.least:
        return here == _release(package.least)
    return _release(package.least) <= here and (package.below is None or here < _release(package.below))


def _release(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` and ``2.13`` alike as (2, 13, 0)."""
    numbers = version_numbers(version)
    return numbers + (0,) * (3 - len(numbers))
