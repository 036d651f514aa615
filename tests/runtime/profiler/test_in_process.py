"""``model.profile()``: the model that a program has loaded, measured in that program."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

import edgekit
from edgekit.errors import BundleError, UsageError
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import MEASURED


def test_a_loaded_model_gives_a_profile_of_itself(small_bundle: Path) -> None:
    with edgekit.load(small_bundle, variant="fp32.tflite", threads=1) as model:
        profile = model.profile(seconds=0.2)
        assert gc.isenabled()
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile
    (cell,), (bundle,), (device,) = profile.cells, profile.bundles, profile.devices
    assert (cell.variant, cell.engine, cell.status) == ("fp32.tflite", "litert", MEASURED)
    assert profile.bundle(cell) is bundle and profile.device(cell) is device
    assert (bundle.name, bundle.target, device.name) == ("small", "desktop", "local")
    assert "in the process of the program" in profile.notes[0]
    (process,) = cell.processes
    assert process.elapsed_ns is not None and process.spans is not None
    assert process.elapsed_ns.count == sum(process.round_sizes) >= 64
    assert process.elapsed_ns.array().sum() >= 0.2e9
    assert process.threads == 1 and process.import_ms is None and cell.memory is None


def test_its_data_frame_has_a_row_for_each_inference(small_bundle: Path) -> None:
    with edgekit.load(small_bundle, variant="fp32.pte", threads=1) as model:
        profile = model.profile(seconds=0.1)
    (process,) = profile.cells[0].processes
    assert process.elapsed_ns is not None
    frame = profile.to_dataframe()
    assert list(frame.columns) == ["device", "bundle", "variant", "engine", "repeat", "round", "elapsed_ms"]
    assert frame.shape == (process.elapsed_ns.count, 7)
    assert (frame["elapsed_ms"] * 1e6).round().astype("int64").tolist() == process.elapsed_ns.array().tolist()
    assert frame["round"].value_counts(sort=False).tolist() == list(process.round_sizes)
    assert set(frame["variant"]) == {"fp32.pte"} and set(frame["bundle"]) == {"small"} and set(frame["repeat"]) == {0}


def test_a_profile_without_a_measurement_is_an_empty_data_frame(small_bundle: Path) -> None:
    with edgekit.load(small_bundle, threads=1) as model:
        profile = model.profile(seconds=0.05)
    frame = Profile(**{**vars(profile), "cells": ()}).to_dataframe()
    assert frame.shape == (0, 7)


def test_what_cannot_be_measured_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.edgekit"
    copy.write_bytes(small_bundle.read_bytes())
    model = edgekit.load(copy, threads=1)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="seconds"):
            model.profile(seconds)
    copy.unlink()
    with pytest.raises(BundleError):
        model.profile(0.1)
    model.close()
    with pytest.raises(UsageError, match="closed"):
        model.profile(0.1)
