"""A model of real size on a phone: MobileNetV2 in int8 gives bit for bit what it gives here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.android.client import both_clients
from support.android.device import SimulatedDevice
from support.bare import pte_bundle
from support.shared import Shared

from edgekit.bundle import Bundle, write_bundle
from edgekit.cli.main import run
from edgekit.digests import sha256
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec

MakeDevice = Callable[..., SimulatedDevice]

_SIGNATURE = Signature(
    (TensorSpec("image", (1, 3, 224, 224), "float32"),), (TensorSpec("output", (1, 1000), "float32"),)
)
_ENGINES = {"int8.pte": "executorch", "int8.tflite": "litert"}


def _export(folder: Path) -> None:
    """In a process of its own, which takes torch's memory with it."""
    program = "from pathlib import Path; from support.mobilenet import export_mobilenet; import sys; "
    program += "export_mobilenet(Path(sys.argv[1]), recipes=('int8',))"
    tests = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=tests, check=True, capture_output=True)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, 3, 224, 224), np.float32)


@pytest.fixture(scope="module")
def bundle(image: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its variants are ``int8.pte`` and ``int8.tflite``."""
    models = Shared.once("mobilenet-int8", _export)
    folder = tmp_path_factory.mktemp("mobilenet")
    data = {name: (models / f"mobilenet-{name}").read_bytes() for name in _ENGINES}
    reference = np.zeros((1, 1000), np.float32)
    with Bundle.open(pte_bundle(data["int8.pte"], _SIGNATURE, image, reference, folder / "pte")) as made:
        (first,) = made.manifest.variants
        variants = tuple(
            replace(
                first,
                name=name,
                file=f"variants/{name}",
                format=name.partition(".")[2],
                recipe="int8",
                engines=(engine,),
                minimum_runtime={},
                size_bytes=len(data[name]),
                sha256=sha256(data[name]),
            )
            for name, engine in _ENGINES.items()
        )
        checks = {name: made.read(name) for name in made.manifest.files if name.startswith("checks/")}
        recommended = {"variant": "int8.tflite", "reason": "small"}
        manifest = replace(made.manifest, variants=variants, recommended=recommended)
    path = folder / "mobilenet.edgekit"
    write_bundle(manifest, {**checks, **{f"variants/{name}": value for name, value in data.items()}}, path)
    return path


@pytest.mark.slow
@both_clients
def test_int8_is_equal_bit_for_bit_to_this_machine(
    simulated_device: MakeDevice,
    bundle: Path,
    image: np.ndarray,
    fetched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))
    device = simulated_device()
    np.save(tmp_path / "image.npy", image)
    for variant, engine in _ENGINES.items():
        words = ["run", str(bundle), "--input", str(tmp_path / "image.npy"), "--variant", variant, "--threads", "2"]
        assert run([*words, "--on", f"adb:{device.serial}", "--output", str(tmp_path / "there.npz")]) == 0
        with Bundle.open(bundle) as opened:
            data = opened.read(f"variants/{variant}")
        session = open_session(engine, data, variant.partition(".")[2], _SIGNATURE, 2)
        (here,) = session.run([image])
        session.close()
        there = np.load(tmp_path / "there.npz")["output"]
        assert np.std(here) > 0.05, "the outputs depend on the input"
        np.testing.assert_array_equal(there, here)
