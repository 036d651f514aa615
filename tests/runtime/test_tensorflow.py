"""TensorFlow as an engine: the same answers as the Keras model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.keras_files import MISFITS, facts

from edgekit.errors import BundleError
from edgekit.pipeline.readers.facts import inspect_file


def test_outputs_are_those_of_the_keras_model() -> None:
    assert facts()["dtypes"] == ["float32", "int32"]
    for given, wanted in zip(facts()["outputs"], facts()["reference"], strict=True):
        np.testing.assert_allclose(given[0], wanted[0], atol=1e-6)
        assert given[1] == wanted[1]
    assert len({json.dumps(given) for given in facts()["outputs"]}) > 1
    assert facts()["in steps"] == facts()["outputs"][1]


def test_outputs_are_fresh_and_inputs_may_be_strided_or_read_only() -> None:
    assert facts()["fresh"]


def test_the_threads_are_those_that_tensorflow_started_with() -> None:
    """It starts once in a process: a second session that asks for others is told what it has."""
    assert facts()["threads"] == [2, 2]
    assert facts()["device"].endswith("CPU:0")


def test_asking_for_the_version_imports_nothing() -> None:
    assert facts()["version"] == "2.21.0" and facts()["imported by version()"] == []


@pytest.mark.parametrize("word", MISFITS)
def test_a_file_that_does_not_fit_the_signature_is_refused(word: str) -> None:
    error = facts()["misfits"][word]
    assert error["code"] == "EK-RUN" and word in error["message"] and "\n" not in error["message"]


def test_what_cannot_run_says_so() -> None:
    assert "closed" in facts()["closed"]["message"]
    assert "encode" in facts()["method"]["message"]
    assert facts()["rubbish"]["code"] == "EK-BUNDLE" and "no archive" in facts()["rubbish"]["message"]


def test_a_file_is_the_same_whenever_and_after_whatever_it_is_exported() -> None:
    assert facts()["both"] == facts()["again"]


def test_layers_of_a_projects_own_are_refused_at_export() -> None:
    error = facts()["refused"]
    assert error["code"] == "EK-UNSUPPORTED" and "'Own'" in error["message"] and ".pt2" in error["hint"]


def test_a_file_tells_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "both.keras"
    path.write_bytes(facts()["both"])
    found = inspect_file(path, "keras")
    assert found.kinds == ("convolution", "linear", "recurrent") and found.delegated_share is None
    assert found.operators["Dense"] == 2 and "InputLayer" not in found.operators
    matrices = 10 * 4 + 4 * 16 * 2 + 3 * 3 * 2 * 4 + 4 * 4 + 4 * 3
    assert found.weight_bytes == {"float32": 4 * matrices}
    path.write_bytes(facts()["both"][:600])
    with pytest.raises(BundleError):
        inspect_file(path, "keras")
