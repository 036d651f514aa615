"""A package outside of edgekit that brings a format with its exporter and engine, a kind of source, a recipe, a metric
where less is better, and a device.

`install` lays a copy of this file and its entry points into a folder that is to be on ``PYTHONPATH``. Its models are
linear, ``x @ weight + bias``: a source is a ``.linear`` file (JSON), a built file a ``.lin`` (arrays).
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.devices.kinds import DeviceKind
from edgekit.devices.local import LocalDevice
from edgekit.formats import Format
from edgekit.metric import Metric
from edgekit.pipeline.exporters import Exporter
from edgekit.pipeline.exporters.record import record
from edgekit.pipeline.inspection import Constant, FileFacts
from edgekit.pipeline.metric import Scorer
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.rounding import next_floats
from edgekit.pipeline.sources.samples import apart, example_of, stacked
from edgekit.recipes import RECIPES, Recipe
from edgekit.runtime.engines.base import Platform, Session, Steps
from edgekit.runtime.samples import Stack
from edgekit.source_kinds import SourceKind
from edgekit.tensors import Signature, TensorSpec

_MODULE = "edgekit_acme"

TARGET = """\
title = "Acme board"
kind = "desktop"
threads = 1
recipe_preference = ["coarse", "fp32"]

[cpu]
architecture = "x86_64"

[[formats]]
format = "lin"
backend = "cpu"
engines = ["acme"]
recipes = ["fp32", "coarse"]

[[sources]]
fact = "it is a test's"
source = "https://example.org"
"""


def install(folder: Path) -> None:
    """Make everything here known to every process that has *folder* on its path."""
    shutil.copy(__file__, folder / f"{_MODULE}.py")
    facts = folder / f"{_MODULE}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_MODULE}\nVersion: 1.0\n", encoding="utf-8")
    groups = {
        "formats": "lin = LIN",
        "exporters": "acme = EXPORTER",
        "engines": "acme = ENGINE",
        "source_kinds": "linear = LINEAR",
        "recipes": "coarse = COARSE",
        "metrics": "deviation = DEVIATION",
    }
    points = (f"[edgekit.{group}]\n{point.replace('= ', f'= {_MODULE}:')}\n" for group, point in groups.items())
    (facts / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")


def write_source(path: Path, weight: np.ndarray, bias: np.ndarray) -> None:
    """A model file."""
    path.write_text(json.dumps({"weight": weight.tolist(), "bias": bias.tolist()}), encoding="utf-8")


class LinearSource:
    """See `edgekit.pipeline.sources.Source`."""

    framework = "acme"

    def __init__(self, spec: SourceSpec):
        stored = json.loads(Path(spec.path).read_text(encoding="utf-8"))
        self.weight, self.bias = (np.array(stored[name], np.float32) for name in ("weight", "bias"))
        inputs = (TensorSpec("x", (1, len(self.weight)), "float32"),)
        self.signature = Signature(inputs, (TensorSpec("y", (1, len(self.bias)), "float32"),))
        self.data_names = tuple(each.name for each in spec.inputs) or ("x",)
        self.example = example_of(inputs, self.data_names, spec.read_sample())
        self.parameter_count = self.weight.size + self.bias.size

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, ([row @ self.weight + self.bias] for (row,) in apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        """There is neither state nor chance in it."""

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return True

    def nudge(self, random: np.random.Generator) -> None:
        self.weight, self.bias = (next_floats(values, random) for values in (self.weight, self.bias))


def open_linear(spec: SourceSpec) -> LinearSource:
    return LinearSource(spec)


def export(*, source: Mapping[str, Any], recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """A ``.lin`` file; in ``coarse``, of halves."""
    opened: Any = open_source(SourceSpec.from_json(source))
    dtype = np.float16 if RECIPES[recipe].is_half else np.float32
    with open(output, "wb") as stream:
        np.savez(stream, weight=opened.weight.astype(dtype), bias=opened.bias.astype(dtype))
    return record((), {"acme": "1.0"}, values=opened.parameter_count)


def read(data: bytes) -> FileFacts:
    """What is in a ``.lin`` file."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        held = [Constant(array.dtype.name, array.shape, array.nbytes, "linear") for array in stored.values()]
    return FileFacts.undelegated(held, ["linear"], {"linear": "linear"})


class _Session:
    """See `edgekit.runtime.engines.base.Session`."""

    threads = 1
    run_one = None
    steps: Steps | None = None

    def __init__(self, data: bytes):
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            self._weight, self._bias = (stored[name].astype(np.float32) for name in ("weight", "bias"))

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [inputs[0] @ self._weight + self._bias]

    def close(self) -> None:
        """There is nothing to release."""


class AcmeEngine:
    """See `edgekit.runtime.engines.base.Engine`."""

    name = "acme"
    formats: tuple[str, ...] = ("lin",)
    platforms: tuple[Platform, ...] = ()
    accelerator = "cpu"
    install_hint = "it is a test's"

    def version(self) -> str | None:
        return "1.0"

    def import_library(self) -> None:
        """It is numpy."""

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        return _Session(data)


class BenchDevice(LocalDevice):
    """This machine under another name."""

    name = "bench"


def open_bench(name: str) -> BenchDevice:
    return BenchDevice()


def _deviation(outputs: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
    return float(np.abs(next(iter(outputs.values()))[:, 0] - labels).max())


ENGINE = AcmeEngine()
LIN = Format("lin", engine="acme", facts=_MODULE)
EXPORTER = Exporter(
    name="acme",
    format="lin",
    hub="linear",
    recipes={"cpu": ("fp32",)},
    convert=f"{_MODULE}:export",
    family="plain",
    packages=(_MODULE,),
)
LINEAR = SourceKind(
    name="linear",
    title="a linear model",
    opener=f"{_MODULE}:open_linear",
    family="plain",
    hubs=("linear",),
    packages=(_MODULE,),
    modules=(),
    install="it is a test's",
    suffix=".linear",
)
COARSE = Recipe("coarse", "halves of floats", "float16", "float32", 20.0, exporters=("acme",))
DEVIATION = Scorer(Metric("deviation", "K", higher_is_better=False), _deviation)
