"""Formats: kinds of model file that a bundle can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit import builtin_runtimes
from edgekit.registry import registry


@dataclass(frozen=True)
class Format:
    """One of them.

    Attributes:
        name: Its suffix.
        title: What people call such a file, with its article.
        engine: The one that runs and checks a file at the build.
        facts: The module with ``read(data: bytes) -> FileFacts``, which says what a file holds.
        contents: The module with ``read(data)`` that reads a file as data and refuses what no allow-list has; None for
            one of another package, which is taken as it is.
        interface: The module with ``describe(data)``, which says what a file takes and gives when nobody else does (see
            `edgekit.runtime.given`); None for one that has to be built.
        family: Of the worker that the engine runs in (see `edgekit.pipeline.work.pool.FAMILIES`).
        is_baseline: Whether it holds the float source model as it is, to measure against, and is not shipped.
        has_own_order: Whether tensors in a file may be in another order than the signature's.
        backend: Name of what its files are lowered to where a target does not say.
    """

    name: str
    engine: str
    facts: str
    title: str = "a model file"
    contents: str | None = None
    interface: str | None = None
    family: str = "plain"
    is_baseline: bool = False
    has_own_order: bool = False
    backend: str = "cpu"


def _own(name: str, title: str, engine: str, family: str = "plain", **facts: Any) -> Format:
    contents, reader = (f"edgekit.{package}.{name}" for package in ("runtime.contents", "pipeline.readers"))
    return Format(name, engine, reader, title, contents, family=family, **facts)


def _given(name: str) -> str:
    return f"edgekit.runtime.given.{name}"


def is_baseline(name: str) -> bool:
    """Whether the format called *name*, which need not be known here, is not shipped."""
    format = FORMATS.get(name)
    return format is not None and format.is_baseline


FORMATS = registry(
    "format",
    _own("tflite", "a LiteRT model", "litert", interface=_given("tflite"), has_own_order=True),
    _own("pte", "an ExecuTorch program", "executorch", interface=_given("pte")),
    _own("ptl", "a PyTorch Mobile model", "pytorch-mobile", "torch"),
    _own("onnx", "an ONNX model", "onnxruntime", interface=_given("onnx")),
    _own("pt2", "an exported PyTorch program", "torch", "torch", is_baseline=True),
    _own("keras", "a Keras model", "tensorflow", "tensorflow", is_baseline=True),
    named=builtin_runtimes.formats(),
)
