"""Bundles that starters are written for: pictures, series, several inputs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import PAIR, SmallModels
from support.figures import figures
from support.shared import Shared

from edgekit.bundle import Bundle, write_bundle
from edgekit.digests import sha256
from edgekit.integration import integrate
from edgekit.manifest import Manifest, Variant
from edgekit.runtime.engines import open_session
from edgekit.runtime.preprocess import Preprocessing, Resize
from edgekit.tensors import Signature, TensorSpec

PICTURE = Signature((TensorSpec("photo", (1, 3, 24, 20), "float32"),), (TensorSpec("scores", (1, 5), "float32"),))
PICTURE_PREPROCESSING = Preprocessing(
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    layout="channels-first",
    resize=Resize(24, 20, 0.875),
)
SERIES = Signature((TensorSpec("movement", (1, 6, 40), "float32"),), (TensorSpec("scores", (1, 3), "float32"),))
SERIES_PREPROCESSING = Preprocessing(mean=(0.5, -1, 0, 2, 0, 0.25), std=(2, 1, 3, 1, 0.5, 1), layout="channels-first")


def make_bundle(
    path: Path,
    models: dict[str, bytes],
    signature: Signature,
    preprocessing: Preprocessing | None,
    labels: tuple[str, ...],
) -> Path:
    """A bundle at *path* of model files by variant name, checked against the first of them."""
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(6, *spec.shape[1:])).astype(np.float32) for spec in signature.inputs]
    first = next(iter(models))
    session = open_session(_engine(first), models[first], _format(first), signature, 1)
    rows = [session.run([column[index : index + 1] for column in inputs]) for index in range(6)]
    session.close()
    outputs = [np.concatenate(column) for column in zip(*rows, strict=True)]
    files = {f"variants/{name}": data for name, data in models.items()}
    checks: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    for side, specs, arrays in (("inputs", signature.inputs, inputs), ("outputs", signature.outputs, outputs)):
        for number, (spec, array) in enumerate(zip(specs, arrays, strict=True)):
            stream = io.BytesIO()
            np.save(stream, array)
            files[f"checks/{side}_{number}.npy"] = stream.getvalue()
            checks[side][spec.name] = f"checks/{side}_{number}.npy"
    manifest = Manifest(
        name="made",
        target="desktop",
        signature=signature,
        preprocessing=None if preprocessing is None else preprocessing.to_json(),
        labels=labels,
        variants=tuple(_variant(name, data) for name, data in models.items()),
        recommended={"variant": first, "reason": "first"},
        source={"framework": "torch", "training": {"loss": "cross-entropy"} if labels else None},
        calibration=None,
        checks={**checks, "samples": 6, "random": True},
        producer="edgekit tests",
    )
    write_bundle(manifest, files, path)
    return path


def changed(bundle: Path, into: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """The bundle with another manifest."""
    with Bundle.open(bundle) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        write_bundle(change(opened.manifest), files, into)
    return into


def with_variant(bundle: Path, into: Path, name: str, **facts: object) -> Path:
    """The bundle with other facts of the variant called *name*."""

    def change(manifest: Manifest) -> Manifest:
        variants = tuple(replace(each, **facts) if each.name == name else each for each in manifest.variants)  # type: ignore[arg-type]
        return replace(manifest, variants=variants)

    return changed(bundle, into, change)


def write_starter(bundle: Path, platform: str, folder: Path, variant: str | None = None) -> Path:
    with Bundle.open(bundle) as opened:
        return integrate(opened, platform, folder, variant).folder


@pytest.fixture(scope="session")
def pair_bundle(small_models: SmallModels) -> Path:
    """Two inputs and two outputs, no preprocessing, no labels; ``fp32.tflite`` and ``fp32.pte``."""
    models = {f"fp32.{format}": small_models.files[f"pair.{format}"] for format in ("tflite", "pte")}
    folder = Shared.once("pair-bundle", lambda folder: make_bundle(folder / "pair.edgekit", models, PAIR, None, ()))
    return folder / "pair.edgekit"


@pytest.fixture(scope="session")
def picture_bundle() -> Path:
    """Colour pictures, scaled and cut; five labels; ``fp32.tflite`` and ``fp32.pte``."""
    folder = Shared.once("picture-bundle", _make_picture)
    return folder / "picture.edgekit"


@pytest.fixture(scope="session")
def series_bundle() -> Path:
    """Series of six channels; three labels; ``fp32.tflite`` and ``fp32.pte``."""
    folder = Shared.once("series-bundle", _make_series)
    return folder / "series.edgekit"


def _make_picture(folder: Path) -> None:
    from torch import nn

    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 11 * 9, 5)).eval()
    labels = ("ant", "bee", "cat", "dog", "elk")
    make_bundle(folder / "picture.edgekit", _exported(net, PICTURE), PICTURE, PICTURE_PREPROCESSING, labels)


def _make_series(folder: Path) -> None:
    from torch import nn

    net = nn.Sequential(nn.Conv1d(6, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    labels = ("walk", "run", "rest")
    make_bundle(folder / "series.edgekit", _exported(net, SERIES), SERIES, SERIES_PREPROCESSING, labels)


def _exported(net: object, signature: Signature) -> dict[str, bytes]:
    import torch
    from small_models import _pte, _tflite

    torch.manual_seed(0)
    example = (torch.randn(signature.inputs[0].shape),)
    return {"fp32.tflite": _tflite(net, example), "fp32.pte": _pte(net, example, delegate=True)}


def _variant(name: str, data: bytes) -> Variant:
    return Variant(
        name=name,
        file=f"variants/{name}",
        size_bytes=len(data),
        sha256=sha256(data),
        format=_format(name),
        recipe="fp32",
        engines=(_engine(name),),
        minimum_runtime={},
        producers={"made": "by a test"},
        **figures(),
        delegated_share=100.0,
        undelegated_ops={},
    )


def _format(name: str) -> str:
    return name.rpartition(".")[2]


def _engine(name: str) -> str:
    return {"tflite": "litert", "pte": "executorch"}[_format(name)]
