"""Keras's HDF5 files of before ``.keras``: read as data, the same numbers, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.damage import check_changes, check_cuts

from edgekit.runtime.contents.keras_h5 import read
from edgekit.runtime.contents.refusal import Malformed, Refused

_TESTS = Path(__file__).parents[2]


def test_models_and_weights_are_read_as_keras_wrote_them(tmp_path: Path) -> None:
    path = os.pathsep.join([str(_TESTS), str(_TESTS.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "support.keras_h5_tasks", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made = json.loads(done.stdout.splitlines()[-1])
    refused = {name: made.pop(name) for name in list(made) if name.startswith("refused")}
    assert len(made) == 5 and max(made.values()) < 1e-6, made
    for name, code, words in (
        ("lambda.h5", "EK-CONTENTS", "holds a Lambda layer"),
        ("hard.h5", "EK-SOURCE", "is of Keras 2.15.0, whose hard_sigmoid is 0.2 x + 0.5"),
        ("short.h5", "EK-SOURCE", "cannot be loaded"),
        ("weights.h5", "EK-SOURCE", "it holds weights, and no model"),
    ):
        found, message, hint = refused[f"refused {name}"]
        assert (found, words in message, bool(hint)) == (code, True, True), message


def written(path: Path, names: list[str], weights: dict[str, np.ndarray], config: str | bytes | None = None) -> bytes:
    with h5py.File(path, "w") as file:
        group = file
        if config is not None:
            file.attrs["model_config"] = config
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = names
        for name in names:
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array(sorted(weights), "S")  # of fixed length, as Keras 2 has them
            for each, value in weights.items():
                layer.create_dataset(each, data=value)
    return path.read_bytes()


def test_texts_of_both_kinds_are_read(tmp_path: Path) -> None:
    weights = {"a/kernel:0": np.ones((2, 3), "f4"), "a/bias:0": np.zeros(3, "f4")}
    long = json.dumps({"class_name": "Sequential", "config": {"name": "x" * 100_000, "layers": []}})
    for config in (long, long.encode()):
        found = read(written(tmp_path / "a.h5", ["dense"], weights, config))
        assert [name for name, _ in found.stored[0].weights] == ["a/bias:0", "a/kernel:0"]
        assert found.stored[0].weights[1][1].shape == (2, 3)
        assert found.config is not None and len(found.config["config"]["name"]) == 100_000
    assert read(written(tmp_path / "w.h5", ["dense"], weights), whole=False).config is None


def test_hostile_files_are_refused_or_damaged(tmp_path: Path) -> None:
    weights = {"kernel": np.ones((2, 3), "f4")}
    layer = {"class_name": "TFOpLambda", "config": {}}
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
    with pytest.raises(Refused, match="'TFOpLambda'"):
        read(written(tmp_path / "a.h5", ["dense"], weights, config))
    plain = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
    whole = written(tmp_path / "b.h5", ["dense"], weights, plain)
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["model_weights/dense/elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(Malformed):
        read((tmp_path / "b.h5").read_bytes())
    check_cuts(read, whole, 211)
    check_changes(read, whole, 200)
