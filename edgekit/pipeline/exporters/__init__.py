"""Exporters: from a source model to files of one format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from edgekit import builtin_runtimes
from edgekit.errors import UsageError
from edgekit.recipes import FP32, RECIPES, Recipe
from edgekit.registry import registry
from edgekit.source_kinds import JAX, SOURCE_KINDS, TENSORFLOW, TORCH, Bridge, SourceKind


@dataclass(frozen=True)
class Exporter:
    """One of them. What its functions take is plain JSON, as they run in workers.

    Attributes:
        format: Name of the format of its files.
        hub: What it takes: a key of `edgekit.source_kinds.SourceKind.hubs`.
        recipes: Names of the recipes that it applies, by the backend that its files are lowered to; the first backend
            is taken where the target says nothing.
        convert: ``module:function(*, source, output)`` with ``recipe`` and ``calibration`` besides where it applies
            several recipes by itself, ``backend`` where it *lowers*, ``batch`` where that is fixed, and ``buckets`` (a
            list of ``name``, ``batch`` and ``source``, with ``open`` for those of ranges) where it has a method for
            each. It takes a `edgekit.pipeline.sources.SourceSpec` as JSON, the file to write, and an ``.npz`` of inputs
            by name, samples first, which static recipes need (`UsageError`, ``EK-DATA``, where it is None); gives the
            export record (see `edgekit.pipeline.exporters.exported.record`); and raises `ConversionError`
            (``EK-UNSUPPORTED``) where the source has no form that it takes.
        quantize: ``module:function(*, base, recipe, calibration, output)``, which makes a file of another recipe of the
            float one; None where *convert* does.
        family: Of the worker that *convert* needs (see `edgekit.pipeline.work.pool.FAMILIES`).
        lowers: Whether files for two backends differ.
        packages: Distributions whose versions decide what *convert* writes; *quantizing*: the same of *quantize*.
        batches: Samples that a file takes per inference: one, a fixed number, or as many as it is given.
        keeps: Whether a source that is a file of this format, in a recipe already, comes out of it as it is.
        forecast: ``module:function(*, source, backend)``, which says what will become of the source's operators (see
            `edgekit.pipeline.work.answers.Forecast`); None where nothing can.
        buckets: Whether a file can have further methods, for other batch sizes and lengths.
        ranges: Whether such a method can take all sizes of a range.
        modules: What has to be importable besides what the source needs.
        install: How to get that.
    """

    name: str
    format: str
    hub: str
    recipes: Mapping[str, tuple[str, ...]]
    convert: str
    family: str
    packages: tuple[str, ...]
    quantize: str | None = None
    quantizing: tuple[str, ...] = ()
    lowers: bool = False
    batches: Literal["one", "fixed", "any"] = "one"
    keeps: bool = False
    forecast: str | None = None
    buckets: bool = False
    ranges: bool = False
    modules: tuple[str, ...] = ()
    install: str = ""

    def applies(self, recipe: Recipe, backend: str) -> bool:
        return recipe.name in self.recipes[backend] or self.name in recipe.exporters

    def known(self, backend: str) -> tuple[Recipe, ...]:
        """The recipes that it applies for *backend*."""
        return tuple(recipe for recipe in RECIPES if self.applies(recipe, backend))

    def check_installed(self) -> None:
        """Raise `UsageError` when a package that it needs is missing."""
        if missing := [module for module in self.modules if find_spec(module) is None]:
            message = f".{self.format} needs {missing[0]}, which is not installed"
            raise UsageError("EK-MISSING-PACKAGE", message, self.install)


_ALL, _FLOAT = ("fp32", "fp16", "int8", "int8-dynamic"), (FP32.name,)
_EXPORTERS = "edgekit.pipeline.exporters"


def _litert(name: str, convert: str, family: str, packages: tuple[str, ...], **more: Any) -> Exporter:
    return Exporter(
        name=f"litert-{name}",
        format="tflite",
        hub=name,
        recipes=dict.fromkeys(("xnnpack", "gpu", "cpu"), _ALL),
        convert=f"{_EXPORTERS}.{convert}:convert",
        family=family,
        packages=packages,
        quantize=f"{_EXPORTERS}.litert:quantize",
        quantizing=("ai-edge-quantizer", "ai-edge-litert"),
        **more,
    )


EXPORTERS = registry(
    "exporter",
    _litert(
        "torch",
        "litert",
        "torch",
        (*TORCH, "litert-torch", "litert-converter"),
        forecast=f"{_EXPORTERS}.forecast:litert",
        buckets=True,
    ),
    _litert("tensorflow", "tensorflow", "tensorflow", TENSORFLOW),
    _litert("jax", "jax", "jax", (*JAX, "litert-converter")),
    Exporter(
        name="litert-file",
        format="tflite",
        hub="tflite",
        recipes=dict.fromkeys(("xnnpack", "gpu", "cpu"), _ALL),
        convert=f"{_EXPORTERS}.tflite:export",
        family="plain",
        packages=("ai-edge-litert", "ai-edge-quantizer", "numpy"),
        keeps=True,
    ),
    Exporter(
        name="executorch",
        format="pte",
        hub="torch",
        recipes={"xnnpack": _ALL, "vulkan": ("fp32", "fp16"), "coreml": ("fp32", "fp16")},
        convert=f"{_EXPORTERS}.executorch:export",
        family="torch",
        packages=(*TORCH, "executorch", "torchao", "keras"),
        lowers=True,
        forecast=f"{_EXPORTERS}.forecast:executorch",
        buckets=True,
        ranges=True,
    ),
    Exporter(
        name="torch-mobile",
        format="ptl",
        hub="torch",
        recipes=dict.fromkeys(("qnnpack", "xnnpack", "cpu"), ("fp32", "int8")),
        convert=f"{_EXPORTERS}.torch_mobile:export",
        family="torch",
        packages=(*TORCH, "keras"),
    ),
    Exporter(
        name="onnx",
        format="onnx",
        hub="torch",
        recipes={"cpu": (FP32.name, "int8")},
        convert=f"{_EXPORTERS}.onnx:export",
        family="torch",
        packages=(*TORCH, "onnx", "onnxscript", "keras"),
        quantize=f"{_EXPORTERS}.onnx_quantizer:quantize",
        quantizing=("onnxruntime", "onnx"),
        batches="fixed",
        modules=("onnx", "onnxruntime", "onnxscript"),
        install="pip install 'edgekit[baselines]'",
    ),
    Exporter(
        name="pt2",
        format="pt2",
        hub="torch",
        recipes={"cpu": _FLOAT},
        convert=f"{_EXPORTERS}.exported_program:export",
        family="torch",
        packages=(*TORCH, "keras"),
        batches="fixed",
    ),
    Exporter(
        name="keras",
        format="keras",
        hub="keras",
        recipes={"cpu": _FLOAT},
        convert=f"{_EXPORTERS}.keras:export",
        family="tensorflow",
        packages=TENSORFLOW,
        batches="any",
    ),
    named=builtin_runtimes.exporters(),
)


@dataclass(frozen=True)
class Route:
    """From a source to files of one format.

    Attributes:
        bridges: What it crosses before the exporter takes it; mostly none.
    """

    exporter: Exporter
    bridges: tuple[Bridge, ...] = ()


def find_route(kind: SourceKind, format: str) -> Route | None:
    """The one from sources of *kind* to files of *format*; None for none.

    What takes the source itself goes before what takes it as another kind, and the hub that it has first before others.
    """
    bridges: tuple[Bridge, ...] = ()
    while True:
        found = [exporter for exporter in EXPORTERS if exporter.format == format and exporter.hub in kind.hubs]
        if found:
            hubs = kind.hubs
            return Route(min(found, key=lambda exporter: hubs.index(exporter.hub)), bridges)
        if kind.bridge is None:
            return None
        bridges += (kind.bridge,)
        kind = SOURCE_KINDS[kind.bridge.kind]
