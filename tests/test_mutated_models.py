"""Bundles whose model file is another one than what was built, sealed again so that every hash is right: whatever it
is, commands and programs end in order, leave nothing behind, and take little memory."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels
from support import keras_files
from support.bundles import of_file, with_file
from support.desktop_bundles import onnx_bundle
from support.forked_commands import ForkedCommands
from support.hostile_files import good_pt2
from support.mutants import described

from edgekit.bundle import Bundle
from edgekit.formats import FORMATS
from edgekit.tensors import Signature, TensorSpec

#: ``EDGEKIT_MUTANTS=2000`` tries so many of each format; TensorFlow and torch.export take seconds for each.
COUNT, FEW = (int(os.environ.get("EDGEKIT_MUTANTS", usual)) for usual in ("25", "8"))

_LINEAR = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 3), "float32"),))
_ENGINES = {
    "tflite": "litert", "pte": "executorch", "ptl": "pytorch-mobile", "onnx": "onnxruntime", "pt2": "torch",
    "keras": "tensorflow",
}  # fmt: skip
_SLOW = [pytest.param(format, marks=pytest.mark.slow) for format in ("ptl", "onnx", "pt2", "keras")]


def bundles(format: str, models: SmallModels, small_bundle: Path, folder: Path) -> list[Path]:
    """A bundle of each honest file of *format* that there is."""
    if format == "onnx":
        files = [(contents(onnx_bundle(small_bundle, folder / "linear.edgekit")), IMAGE)]
    elif format == "keras":
        files = [(keras_files.facts()["both"], keras_files.SIGNATURE)]
    elif format == "pt2":
        files = [(good_pt2(), _LINEAR)]
    else:
        files = [(models.files[f"{name}.{format}"], spec) for name, spec in (("image", IMAGE), ("pair", PAIR))]
    return [
        of_file(data, _ENGINES[format], format, signature, folder / f"{number}.edgekit")
        for number, (data, signature) in enumerate(files)
    ]


@pytest.mark.parametrize("format", ["tflite", "pte", *_SLOW])
def test_commands_and_programs_end_in_order(
    small_models: SmallModels, small_bundle: Path, tmp_path: Path, format: str
) -> None:
    honest = bundles(format, small_models, small_bundle, tmp_path)
    files = [contents(path) for path in honest]
    samples = [sample(path) for path in honest]
    found: Counter[tuple[str, int]] = Counter()
    with ForkedCommands(tmp_path / "watched", _ENGINES[format]) as commands:
        for seed in range(-len(honest), FEW if format in ("pt2", "keras") else COUNT):
            which, path = seed % len(honest), tmp_path / "changed.edgekit"
            kind, data = ("honest", files[which]) if seed < 0 else described(files[which], format, seed, files)
            with_file(honest[which], f"fp32.{format}", data, path)
            outcomes = {
                "run": commands.run("run", str(path), "--input", str(samples[which])),
                "load": commands.load(path, samples[which]),
            }
            if FORMATS[format].interface is not None:
                given = tmp_path / f"given.{format}"
                given.write_bytes(data)
                outcomes |= {f"{verb} given": commands.run(verb, str(given)) for verb in ("inspect", "run")}
            if format != "pt2":  # torch.compile, which is asked as well, takes half a minute for each
                outcomes["verify"] = commands.run("verify", str(path))
            for verb, outcome in outcomes.items():
                assert not outcome.faults, (seed, kind, verb, outcome)
                assert outcome.status == 0 or seed >= 0, outcome
                found[verb, outcome.status] += 1
    print(format, *(f"{verb} {status}: {count}" for (verb, status), count in sorted(found.items())), sep="\n  ")
    assert all(found[verb, 6] for verb in ("run", "load"))


def contents(path: Path) -> bytes:
    with Bundle.open(path) as bundle:
        return bundle.read(bundle.manifest.variants[0].file)


def sample(path: Path) -> Path:
    """A file of what the bundle at *path* takes."""
    with Bundle.open(path) as bundle:
        inputs = {spec.name: np.ones(spec.shape, spec.dtype) for spec in bundle.manifest.signature.inputs}
    np.savez(path.with_suffix(".npz"), **inputs)
    return path.with_suffix(".npz")
