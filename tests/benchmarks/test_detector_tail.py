"""What it costs that an int8 detector joins its boxes and scores in float, which one scale for both would destroy.

Run with ``pytest -s -n 0 tests/benchmarks/test_detector_tail.py``; prints, for each format, size and time of the file
beside those of the same one with the join in int8, interleaved, and what became of the worst column of each.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.fidelity import compare
from edgekit.pipeline.exporters import executorch, litert
from edgekit.pipeline.recipes import litert as litert_rules
from edgekit.pipeline.recipes import xnnpack
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.runtime.engines import open_session
from edgekit.tensors import TensorSpec

_INPUT = TensorSpec("input", (1, 3, 192, 192), "float32")
_ROUNDS = 300
_RULES = {"tflite": litert_rules, "pte": xnnpack}
_ENGINES = {"tflite": "litert", "pte": "executorch"}


class Detector(nn.Module):
    """Three levels of a pyramid, each with boxes in pixels and the scores of twenty classes, in one output."""

    def __init__(self) -> None:
        super().__init__()
        stem: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6()]
        for inward, outward in ((16, 32), (32, 64)):
            stem += [nn.Conv2d(inward, outward, 3, 2, 1), nn.BatchNorm2d(outward), nn.ReLU6()]
        self.stem = nn.Sequential(*stem)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inward, inward * 2, 3, 2 if number else 1, 1), nn.ReLU6())
            for number, inward in enumerate((64, 128, 256))
        )
        self.boxes = nn.ModuleList(nn.Conv2d(channels, 4, 1) for channels in (128, 256, 512))
        self.scores = nn.ModuleList(nn.Conv2d(channels, 20, 1) for channels in (128, 256, 512))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        x, found = self.stem(input), []
        for number, (level, boxes, scores) in enumerate(zip(self.levels, self.boxes, self.scores, strict=True)):
            x = level(x)
            pixels = (boxes(x).sigmoid() * 8 * 2**number * 10).flatten(2)
            found.append(torch.cat([pixels, scores(x).sigmoid().flatten(2)], 1))
        return torch.cat(found, 2)


def make() -> nn.Module:
    torch.manual_seed(0)
    module = Detector()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):  # untrained layers would hardly move with their input
                nn.init.kaiming_normal_(layer.weight)
    return module


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_a_join_in_float(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SourceSpec("torch", __file__, "make", inputs=(_INPUT,))
    random = np.random.default_rng(0)
    level = random.uniform(-1, 1, (24, 3, 1, 1))
    images = (random.standard_normal((24, *_INPUT.shape[1:])) + level).astype(np.float32)
    np.savez(tmp_path / "calibration.npz", input=images[8:])
    source = open_source(spec)
    reference = source.predict({"input": images[:8]})
    files = {}
    for joined in ("float", "int8"):
        if joined == "int8":
            monkeypatch.setattr(_RULES[format], "tail", lambda *_: [])
        files[joined] = _export(spec, format, tmp_path, joined)
    sessions = {
        joined: open_session(_ENGINES[format], file, format, source.signature, 1) for joined, file in files.items()
    }
    for joined, session in sessions.items():
        measured = np.concatenate([session.run([image[None]])[0].copy() for image in images[:8]])
        found = compare(reference, dict(zip(reference, [measured], strict=True)))
        print(f"\n{format}, joined in {joined}: {len(files[joined])} bytes, {found.worst.name} {found.worst.snr_db} dB")
    times: dict[str, list[float]] = {joined: [] for joined in sessions}
    for number in range(_ROUNDS):
        for joined in sorted(sessions, reverse=bool(number % 2)):
            began = time.process_time_ns()
            sessions[joined].run([images[:1]])
            times[joined].append((time.process_time_ns() - began) / 1e6)
    medians = {joined: statistics.median(each) for joined, each in times.items()}
    ratio = statistics.median(one / other for one, other in zip(times["float"], times["int8"], strict=True))
    size = len(files["float"]) / len(files["int8"])
    print(f"{medians} ms of processor time; float takes {ratio:.4f} of the time and {size:.4f} of the size")


def _export(spec: SourceSpec, format: str, folder: Path, name: str) -> bytes:
    path, calibration = str(folder / f"{name}.{format}"), str(folder / "calibration.npz")
    if format == "pte":
        executorch.export(source=spec.to_json(), recipe="int8", calibration=calibration, output=path)
    else:
        litert.convert(source=spec.to_json(), output=f"{path}.float")
        litert.quantize(base=f"{path}.float", recipe="int8", calibration=calibration, output=path)
    return Path(path).read_bytes()
