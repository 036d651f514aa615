"""Trials: a model file run over samples, its outputs kept, its speed and memory taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels

from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime import children, frames, memory, trial
from edgekit.runtime.children import Child
from edgekit.runtime.timing import Latency, latency_ms, time_calls
from edgekit.runtime.trial import Job, run_trial


@pytest.fixture
def job(small_models: SmallModels, tmp_path: Path) -> Job:
    (tmp_path / "image.tflite").write_bytes(small_models.files["image.tflite"])
    np.savez(tmp_path / "inputs.npz", image=small_models.images, labels=np.arange(32))
    return Job(
        file=str(tmp_path / "image.tflite"),
        format="tflite",
        engine="litert",
        signature=IMAGE,
        inputs=str(tmp_path / "inputs.npz"),
        outputs=str(tmp_path / "outputs.npz"),
        threads=1,
        samples=64,
    )


def test_a_trial_keeps_outputs_and_measures(job: Job, small_models: SmallModels) -> None:
    result = run_trial(job)
    with np.load(job.outputs) as outputs:
        np.testing.assert_allclose(outputs["output"], small_models.scores, atol=1e-5)
    assert (result.engine, result.threads, result.samples) == ("litert", 1, 32)
    assert result.engine_version.startswith("2.")
    assert result.latency_ms is not None and result.latency_ms.samples == 64
    assert result.latency_ms.p90 is not None and 0 < result.latency_ms.median <= result.latency_ms.p90
    assert result.load_ms > 0 and result.peak_rss_bytes is not None and result.peak_rss_bytes > 10e6


def test_few_samples_give_no_p90_and_none_no_latency(job: Job) -> None:
    few = run_trial(replace(job, samples=63)).latency_ms
    assert few is not None and few.p90 is None
    assert run_trial(replace(job, samples=0)).latency_ms is None


def test_several_inputs(job: Job, small_models: SmallModels, tmp_path: Path) -> None:
    (tmp_path / "pair.tflite").write_bytes(small_models.files["pair.tflite"])
    left, right = small_models.pair_inputs
    np.savez(tmp_path / "pair.npz", right=np.repeat(right, 3, 0), left=np.repeat(left, 3, 0))
    paths = {"file": str(tmp_path / "pair.tflite"), "inputs": str(tmp_path / "pair.npz")}
    run_trial(replace(job, **paths, signature=PAIR, samples=0))
    with np.load(job.outputs) as outputs:
        np.testing.assert_allclose(outputs["output_1"], np.repeat(small_models.pair_outputs[1], 3, 0), atol=1e-6)


class _FakeSession:
    """Stands for an engine whose outputs go wrong, which no engine here does on demand."""

    threads = 1

    def __init__(self, outputs: Sequence[float]):
        self._outputs = list(outputs)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        value = self._outputs.pop(0) if len(self._outputs) > 1 else self._outputs[0]
        return [np.full((1, 4), value, np.float32)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("outputs", [[1, 2], [1] * 33 + [2]], ids=["second run", "after the others"])
def test_outputs_that_change_for_the_same_input_are_refused(
    job: Job, monkeypatch: pytest.MonkeyPatch, outputs: list[float]
) -> None:
    monkeypatch.setattr(trial, "open_session", lambda *_: _FakeSession(outputs))
    with pytest.raises(EdgekitError, match="different outputs") as caught:
        run_trial(job)
    assert caught.value.code == "EK-RUN"


def test_inputs_that_do_not_fit_are_refused(job: Job, tmp_path: Path) -> None:
    for arrays in ({"x": np.zeros(3)}, {"image": np.zeros((0, 1, 12, 12), "f4")}, {"image": np.zeros((2, 5), "f4")}):
        np.savez(tmp_path / "inputs.npz", **arrays)
        with pytest.raises(UsageError) as caught:
            run_trial(job)
        assert caught.value.code == "EK-INPUT"


def test_as_a_process(job: Job, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child = Child(children.module("edgekit.runtime.trial"), log)
    result, _ = child.ask({}, json.dumps(asdict(job)).encode(), take=frames.receive)
    # Without torch in the process, the figure is that of Python, numpy and LiteRT.
    assert 20e6 < result["peak_rss_bytes"] < 200e6
    for wrong, code in (({"engine": "none"}, "EK-ENGINE"), ({"file": str(tmp_path / "none")}, "EK-RUN")):
        with pytest.raises(EdgekitError) as caught:
            child.ask({}, json.dumps({**asdict(job), **wrong}).encode(), take=frames.receive)
        assert caught.value.code == code
    assert child.kill(gently=True) == 0


def test_latency_figures() -> None:
    assert latency_ms([1_000_000, 3_000_000]) == Latency(2.0, None, 2)
    figures = latency_ms([index * 1_000_000 for index in range(100, 0, -1)])
    assert figures == Latency(50.5, 90.0, 100)
    calls: list[int] = []
    assert len(time_calls(lambda: calls.append(1), 10)) == 10
    assert len(calls) >= 13
    assert memory.own_bytes()["VmHWM"] > 10e6
