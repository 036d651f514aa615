"""Converting one model, beside the converter's own call: both in processes of their own, imports included, interleaved.

Run with ``pytest -s -n 0 tests/benchmarks/test_conversion_time.py``; some minutes for each. Processor time is compared:
on a busy machine the clock says more of the neighbours.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.pipeline.sources import SourceSpec
from edgekit.tensors import TensorSpec

_ARCHITECTURES = Path(__file__).parent.parent / "conformance" / "architectures"
_ROUNDS = 3
_MOST = 1.2
_INPUTS = {
    "resnet": (TensorSpec("image", (1, 3, 64, 64), "float32"),),
    "bert": (TensorSpec("input_ids", (1, 24), "int64"),),
}
_TORCH = f"""
import sys; sys.path.insert(0, {str(_ARCHITECTURES)!r})
import torch, torch_models
name, path = sys.argv[1:]
model = getattr(torch_models, name)()
example = tuple(torch.from_numpy(array[:1]) for array in torch_models.samples(name).values())
"""
#: What a user would write without edgekit.
_PLAIN = {
    "tflite": f"{_TORCH}\nimport litert_torch\nlitert_torch.convert(model, example).export(path)",
    "pte": f"""{_TORCH}
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
program = torch.export.export(model, example)
lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
open(path, "wb").write(lowered.to_executorch().buffer)""",
    "keras": """
import sys, keras, tensorflow as tf
model = keras.saving.load_model(sys.argv[1])
open(sys.argv[2], "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())""",
    "saved": """
import sys, tensorflow as tf
open(sys.argv[2], "wb").write(tf.lite.TFLiteConverter.from_saved_model(sys.argv[1]).convert())""",
}
#: What a worker of a build does.
_OURS = """
import json, sys
from edgekit.registry import import_name
function, source, path, more = sys.argv[1:]
import_name(function)(source=json.loads(source), output=path, **json.loads(more))"""
_EXPORTERS = "edgekit.pipeline.exporters"


@pytest.mark.parametrize("format", ["tflite", "pte"])
@pytest.mark.parametrize("name", list(_INPUTS))
def test_pytorch(name: str, format: str, tmp_path: Path) -> None:
    spec = SourceSpec("torch", str(_ARCHITECTURES / "torch_models.py"), name, inputs=_INPUTS[name])
    more = {"recipe": "fp32", "calibration": None} if format == "pte" else {}
    function = f"{_EXPORTERS}.executorch:export" if format == "pte" else f"{_EXPORTERS}.litert:convert"
    _compare(f"{name}.{format}", _PLAIN[format], (name,), function, spec, more, tmp_path)


def test_keras(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    _made(f"keras_models.keras_mobilenet_v2().save({str(path)!r})")
    spec = SourceSpec("keras", str(path))
    _compare("keras", _PLAIN["keras"], (str(path),), f"{_EXPORTERS}.tensorflow:convert", spec, {}, tmp_path)


def test_a_saved_model(tmp_path: Path) -> None:
    path = tmp_path / "saved"
    _made(f"keras_models.keras_mobilenet_v2().export({str(path)!r}, verbose=False)")
    spec = SourceSpec("saved-model", str(path))
    _compare("saved model", _PLAIN["saved"], (str(path),), f"{_EXPORTERS}.tensorflow:convert", spec, {}, tmp_path)


def _made(code: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(_ARCHITECTURES)!r}); import keras_models; {code}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def _compare(
    title: str,
    plain: str,
    arguments: tuple[str, ...],
    function: str,
    spec: SourceSpec,
    more: dict[str, object],
    folder: Path,
) -> None:
    ours = [_OURS, function, json.dumps(spec.to_json()), str(folder / "ours"), json.dumps(more)]
    commands = {"plain": [plain, *arguments, str(folder / "plain")], "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_ROUNDS):
        for name, words in commands.items():
            times[name].append(_processor_seconds(words))
    assert (folder / "plain").stat().st_size and (folder / "ours").stat().st_size
    ratio = statistics.median(one / other for one, other in zip(times["ours"], times["plain"], strict=True))
    print(f"\n{title}: {ratio:.3f} of the converter's own {statistics.median(times['plain']):.1f} s")
    assert ratio <= _MOST


def _processor_seconds(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
