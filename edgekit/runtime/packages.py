"""The packages edgekit works with: which versions were proven together, and which are installed here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from edgekit.runtime.engines.base import version_numbers


@dataclass(frozen=True)
class Package:
    """A package as ``pyproject.toml`` bounds it.

    Attributes:
        name: Of the distribution on the package index.
        extra: ``edgekit[EXTRA]`` brings it; None when edgekit itself does.
        least: First version that works.
        below: First version that is unproven; None when newer ones are taken to work.
        purpose: What is missing without it.
        aliases: Other distributions that bring the same.
    """

    name: str
    extra: str | None
    least: str
    below: str | None
    purpose: str
    aliases: tuple[str, ...] = ()


PACKAGES = (
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
    Package("onnx", "baselines", "1.23", "1.24", "reading .onnx"),
    Package("onnxruntime", "baselines", "1.32", "1.33", "running .onnx"),
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


def installed_packages() -> tuple[Installed, ...]:
    """Every package of `PACKAGES`, looked up without importing it."""
    return tuple(_look_up(package) for package in PACKAGES)


def _look_up(package: Package) -> Installed:
    for name in (package.name, *package.aliases):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return Installed(package, version, "ok" if _proven(package, version) else "unproven")
    return Installed(package, None, "missing")


def _proven(package: Package, version: str) -> bool:
    here = _release(version)
    return _release(package.least) <= here and (package.below is None or here < _release(package.below))


def _release(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` and ``2.13`` alike as (2, 13, 0)."""
    numbers = version_numbers(version)
    return numbers + (0,) * (3 - len(numbers))
