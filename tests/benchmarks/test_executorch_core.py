"""ExecuTorch through edgekit's core against torch's binding: time of a call, memory and start.

Run with ``pytest -s -n 0 tests/benchmarks/test_executorch_core.py``; prints the figures.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bare import BareEnvironment, build_wheel, pte_bundle
from support.mobilenet import MOBILENET, export_mobilenet
from support.native_models import TINY, build_native_models
from support.shared import Shared

from edgekit.fidelity import near_constant
from edgekit.runtime import native
from edgekit.runtime.engines.executorch import ENGINE, CoreSession
from edgekit.runtime.model import Model
from edgekit.runtime.native.build import build
from edgekit.tensors import Signature


def _file(name: str) -> bytes:
    models = Shared.once("native-models", build_native_models)
    mobilenet = Shared.once("mobilenet", export_mobilenet)
    return ((models if name == "tiny" else mobilenet) / f"{name}.pte").read_bytes()


def _microseconds(call: Callable[[], object], calls: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - began) / calls / 1000


@pytest.mark.parametrize(
    ("name", "signature", "rounds", "calls"),
    [
        ("tiny", TINY, 200, 300),
        ("mobilenet-fp32", MOBILENET, 100, 1),
        ("mobilenet-int8", MOBILENET, 100, 1),
    ],
)
def test_a_call(name: str, signature: Signature, rounds: int, calls: int) -> None:
    import torch
    from executorch.runtime import Runtime

    data = _file(name)
    images = np.random.default_rng(0).standard_normal((4, *signature.inputs[0].shape), np.float32)
    session = ENGINE.open(data, signature, 1)
    assert isinstance(session, CoreSession)
    model = Model(session, signature, variant=name, engine="executorch")
    execute = Runtime.get().load_program(data).load_method("forward").execute
    array = images[0].copy()

    def binding() -> np.ndarray:
        output: np.ndarray = execute([torch.from_numpy(array)])[0].numpy()
        return output

    assert session.threads == 1, "in the pool that both share"
    np.testing.assert_array_equal(model(array), binding())
    assert not near_constant(np.concatenate([model(image) for image in images]))
    pairs = []
    for index in range(rounds):
        first, second = (binding, lambda: model(array)) if index % 2 else (lambda: model(array), binding)
        times = _microseconds(first, calls), _microseconds(second, calls)
        pairs.append(times if index % 2 else times[::-1])
    theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(own / other for other, own in pairs)
    print(
        f"\n{name}, 1 thread: binding {theirs:.2f} us, edgekit {ours:.2f} us "
        f"(least {min(pair[0] for pair in pairs):.2f}, {min(pair[1] for pair in pairs):.2f}); median ratio {ratio:.3f}"
    )
    session.close()


_PROGRAM = """
import time
began = time.perf_counter()
import json, sys
import edgekit
model = edgekit.load(sys.argv[1], threads=1)
loaded = time.perf_counter()
import numpy
output = model(numpy.load(sys.argv[2])[:1])
facts = {line.split(":")[0]: line.split()[1] for line in open("/proc/self/status") if line.startswith("Vm")}
print(json.dumps({
    "import_and_load_s": round(loaded - began, 3),
    "peak_rss_mb": int(facts["VmHWM"]) * 1024 / 1e6,
    "torch": "torch" in sys.modules,
    "output": output.tolist(),
}))
"""


@pytest.mark.parametrize("recipe", ["int8", "fp32"])
def test_memory_and_start_without_torch(recipe: str, tmp_path: Path) -> None:
    package = native.executorch_package()
    assert package is not None
    build("x86_64", package, tmp_path / "core" / "x86_64")
    environment = BareEnvironment(build_wheel(tmp_path / "core", tmp_path), tmp_path)
    data = _file(f"mobilenet-{recipe}")
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224), np.float32)
    session = ENGINE.open(data, MOBILENET, 1)
    expected = np.concatenate([session.run([image[None]])[0] for image in images])
    session.close()
    bundle = pte_bundle(data, MOBILENET, images, expected, tmp_path / "mobilenet.edgekit")
    np.save(tmp_path / "images.npy", images)
    seen = []
    for _ in range(5):
        facts = json.loads(environment.run(_PROGRAM, str(bundle), str(tmp_path / "images.npy")))
        np.testing.assert_array_equal(np.array(facts.pop("output"), np.float32), expected[:1])
        assert not facts["torch"]
        seen.append(facts)
    print(
        f"\nMobileNetV2 {recipe} ({len(data) / 1e6:.1f} MB), no torch, 5 processes: peak RSS "
        f"{[round(facts['peak_rss_mb'], 1) for facts in seen]} MB, import and load "
        f"{[facts['import_and_load_s'] for facts in seen]} s"
    )
