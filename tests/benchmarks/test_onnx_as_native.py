"""A network that goes through ONNX, beside the same one as PyTorch has it: bytes, delegates and time of the files.

Run with ``pytest -s -n 0 tests/benchmarks/test_onnx_as_native.py``; some minutes for each exporter and recipe.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support import onnx_models

from edgekit.pipeline.exporters import executorch, litert
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.runtime.contents import pte, tflite
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec

_INPUT = TensorSpec("x", (1, 4, 64), "float32")
_WIDTH = 64
_ROUNDS = 400
_BYTES, _TIME = 1.02, 1.05
_ENGINES = {"tflite": "litert", "pte": "executorch"}


def make() -> torch.nn.Module:
    return onnx_models.conv_lstm_attention(_WIDTH)


@dataclass(frozen=True)
class _File:
    data: bytes
    signature: Signature

    def delegates(self, format: str) -> int:
        """Parts that XNNPACK takes of a ``.pte``; of a ``.tflite``, which is cut as it is loaded, its operators."""
        if format == "pte":
            return len(pte.read(self.data).parts)
        return len(tflite.read(self.data).model["subgraphs"][0]["operators"])


@pytest.mark.parametrize("recipe", ["fp32", "int8"])
@pytest.mark.parametrize("format", ["pte", "tflite"])
@pytest.mark.parametrize("exporter", ["old", "new"])
def test_the_way_by_onnx_costs_nothing(exporter: str, format: str, recipe: str, tmp_path: Path) -> None:
    example = torch.randn(_INPUT.shape, generator=torch.Generator().manual_seed(0))
    path = onnx_models.export(make(), example, tmp_path / "m.onnx", new=exporter == "new", external_data=False)
    np.savez(tmp_path / "calibration.npz", x=np.random.default_rng(0).standard_normal((32, 4, 64)).astype(np.float32))
    files = {
        "native": _export(SourceSpec("torch", __file__, "make", inputs=(_INPUT,)), format, recipe, tmp_path),
        "onnx": _export(SourceSpec("onnx", str(path)), format, recipe, tmp_path),
    }
    sizes = {name: len(file.data) for name, file in files.items()}
    parts = {name: file.delegates(format) for name, file in files.items()}
    times = _interleaved(files, format)
    ratio = statistics.median(one / other for one, other in zip(times["onnx"], times["native"], strict=True))
    median = statistics.median(times["native"])
    print(
        f"\n{exporter} exporter, {recipe}.{format}: {sizes['onnx']} bytes to {sizes['native']}, "
        f"{parts['onnx']} parts to {parts['native']}, {ratio:.4f} of the time ({median:.3f} ms)"
    )
    assert sizes["onnx"] <= _BYTES * sizes["native"]
    assert parts["onnx"] <= parts["native"]
    assert ratio <= _TIME


def _interleaved(files: Mapping[str, _File], format: str) -> dict[str, list[float]]:
    """Milliseconds of processor time, round by round."""
    sessions = {
        name: open_session(_ENGINES[format], file.data, format, file.signature, 1) for name, file in files.items()
    }
    sample = np.random.default_rng(1).standard_normal(_INPUT.shape).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(_ROUNDS):
        for name in sorted(sessions, reverse=bool(number % 2)):
            began = time.process_time_ns()
            sessions[name].run([sample])
            times[name].append((time.process_time_ns() - began) / 1e6)
    return times


def _export(spec: SourceSpec, format: str, recipe: str, folder: Path) -> _File:
    path, calibration = str(folder / f"{spec.kind}.{format}"), str(folder / "calibration.npz")
    if format == "pte":
        given = calibration if recipe == "int8" else None
        executorch.export(source=spec.to_json(), recipe=recipe, calibration=given, output=path)
    elif recipe == "int8":
        litert.convert(source=spec.to_json(), output=f"{path}.float")
        litert.quantize(base=f"{path}.float", recipe=recipe, calibration=calibration, output=path)
    else:
        litert.convert(source=spec.to_json(), output=path)
    return _File(Path(path).read_bytes(), open_source(spec).signature)
