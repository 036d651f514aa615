"""JAX to ``.tflite``: through LiteRT's converter, without another framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_TESTS = Path(__file__).parents[2]


def ask(task: str, folder: Path, *names: str) -> Any:
    path = os.pathsep.join([str(_TESTS), str(_TESTS.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "support.jax_tasks", task, str(folder), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "names",
    [
        ("cnn", "recurrent", "many"),
        pytest.param(("mlp", "attention", "embedding", "enlarging", "branching", "looping"), marks=pytest.mark.slow),
    ],
    ids=["few", "others"],
)
def test_models_are_converted_without_tensorflow_or_torch(names: tuple[str, ...], tmp_path: Path) -> None:
    answer = ask("convert", tmp_path, *names, "ranking")
    assert "LiteRT has no kernel for lax.sort of several arrays" in answer["made"].pop("ranking")["error"]
    assert answer["foreign"] == []
    for name, made in answer["made"].items():
        assert "error" not in made, (name, made)
        assert max(made["differences"].values()) < 1e-4, (name, made)


@pytest.mark.slow
def test_the_converters_faults_are_still_there(tmp_path: Path) -> None:
    """When one of these is mended, its rule in `edgekit.pipeline.exporters.jax` can go."""
    made = ask("stock", tmp_path, "many", "enlarging")["made"]
    assert "STABLEHLO_SORT" in made["many"]
    assert [1, 8, 8, 4] not in json.loads(made["enlarging"])


@pytest.mark.slow
def test_a_flax_module_goes_into_both_formats(tmp_path: Path) -> None:
    from edgekit.pipeline.build import build

    models = _TESTS / "support" / "jax_models.py"
    bundle = build(
        f"{models}:cnn", framework="jax", target="rpi4", recipes=["fp32"], out=tmp_path, formats=["tflite", "pte"]
    )
    differences = {variant.name: variant.max_abs_diff for variant in bundle.manifest.variants}
    assert differences.keys() == {"fp32.tflite", "fp32.pte"}
    assert all(value is not None and value < 1e-4 for value in differences.values()), differences
