"""Calibration samples in the shapes that a file's methods have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.pipeline.exporters.inputs import calibration_samples

X, SIZE = np.arange(5 * 4 * 2, dtype=np.float32).reshape(5, 4, 2), np.arange(5, dtype=np.float32)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "calibration.npz"
    np.savez(path, x=X, size=SIZE)
    return str(path)


def test_one_sample_at_a_time(file: str) -> None:
    found = list(calibration_samples(file, "int8"))
    assert [sample["x"].shape for sample in found] == [(1, 4, 2)] * 5
    np.testing.assert_array_equal(np.concatenate([sample["x"] for sample in found]), X)


def test_several_at_a_time_and_shorter_ones(file: str) -> None:
    found = list(calibration_samples(file, "int8", {"x": (2, 3, 2)}))
    assert [sample["x"].shape for sample in found] == [(2, 3, 2)] * 3
    rows = [0, 1, 2, 3, 4, 4]
    np.testing.assert_array_equal(np.concatenate([sample["x"] for sample in found]), X[rows, :3])


@pytest.mark.parametrize("shape", [(), (4, 2), (1, 4, 2)])
def test_a_file_without_an_axis_for_samples_takes_them_as_they_are(file: str, shape: tuple[int, ...]) -> None:
    found = list(calibration_samples(file, "int8", {"x": shape}))
    assert [sample["x"].shape for sample in found] == [(1, 4, 2)] * 5
