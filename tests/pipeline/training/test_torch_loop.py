"""PyTorch training on a few hundred digits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.training_tasks import Interrupt, failure, prepare, run

from edgekit.errors import UsageError
from edgekit.pipeline.training import torch_loop
from edgekit.pipeline.work import events
from edgekit.pipeline.work.events import Epoch, TaskEvent


@pytest.fixture(autouse=True)
def listeners(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TaskEvent]]:
    monkeypatch.setattr(events, "_listeners", [])
    monkeypatch.setattr(torch_loop, "_SECONDS_BETWEEN_EVENTS", 0.0)
    heard: list[TaskEvent] = []
    events.listen(heard.append)
    yield heard


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch")
    prepare(path, "torch")
    return path


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, Any]:
    return run(folder, "torch", "trained")


def weights(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    return torch.load(result["weights"], weights_only=True)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_it_learns_and_says_how(folder: Path, listeners: list[TaskEvent]) -> None:
    result = run(folder, "torch", "told")
    epochs = [event for event in listeners if isinstance(event, Epoch)]
    assert [event.epoch for event in epochs] == [1, 2, 3] and epochs[-1].counts_labels
    assert [event.score for event in epochs] == [entry["metric"] for entry in result["history"]]
    assert epochs[-1].best == result["best_metric"]
    assert result["best_metric"] == max(entry["metric"] for entry in result["history"]) > 40
    assert (result["epochs_done"], result["interrupted"], result["device"]) == (3, False, "cpu")
    assert not result["mixed_precision"]


def test_two_runs_give_the_same_bytes(folder: Path, trained: dict[str, Any]) -> None:
    again = run(folder, "torch", "again")
    assert same(trained, again)
    assert Path(trained["weights"]).read_bytes() == Path(again["weights"]).read_bytes()


def test_another_seed_gives_other_weights(folder: Path, trained: dict[str, Any]) -> None:
    assert not same(trained, run(folder, "torch", "seed", seed=1))


def test_an_interrupted_run_keeps_the_best_and_resumes_to_the_same_weights(
    folder: Path, trained: dict[str, Any]
) -> None:
    Interrupt(2)
    stopped = run(folder, "torch", "stopped")
    assert stopped["interrupted"]
    assert stopped["epochs_done"] == 2
    assert weights(stopped).keys() == weights(trained).keys()
    resumed = run(folder, "torch", "stopped")
    assert not resumed["interrupted"]
    assert resumed["history"] == trained["history"]
    assert same(trained, resumed)


def test_a_run_stopped_in_its_first_epoch_has_no_metric(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch_loop, "epoch_of", stop)
    stopped = run(folder, "torch", "at-once")
    assert (stopped["interrupted"], stopped["epochs_done"], stopped["best_metric"]) == (True, 0, None)


def test_a_finished_run_is_not_run_again(folder: Path, trained: dict[str, Any], listeners: list[TaskEvent]) -> None:
    assert run(folder, "torch", "trained")["history"] == trained["history"]
    assert not listeners


def test_a_torn_checkpoint_is_said(folder: Path, trained: dict[str, Any]) -> None:
    torn = folder / "torn"
    torn.mkdir()
    (torn / "checkpoint.pt").write_bytes((folder / "trained" / "checkpoint.pt").read_bytes()[:1500])
    with pytest.raises(UsageError) as caught:
        run(folder, "torch", "torn")
    assert caught.value.code == "EK-CHECKPOINT"
    assert "--fresh" in str(caught.value.hint)


def test_a_checkpoint_of_other_settings_is_refused(folder: Path, trained: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="another epochs"):
        run(folder, "torch", "trained", epochs=4)


def test_a_loss_that_diverges_is_said_and_leaves_the_checkpoint(folder: Path) -> None:
    run(folder, "torch", "diverges", optimizer="sgd", schedule="constant")
    before = (folder / "diverges" / "checkpoint.pt").read_bytes()
    (folder / "worse").mkdir()
    assert failure(folder, "torch", name="worse", learning_rate=1e30, optimizer="sgd") == "EK-DIVERGED"
    assert not (folder / "worse" / "weights.pt").exists()
    assert (folder / "diverges" / "checkpoint.pt").read_bytes() == before


def test_labels_beyond_the_scores_are_refused(folder: Path) -> None:
    assert failure(folder, "torch", name="classes", factory="one") == "EK-DATA"


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_regression_lowers_the_loss(tmp_path: Path, loss: str) -> None:
    prepare(tmp_path, "torch", lambda digits: digits.astype(np.float32) / 10)
    result = run(tmp_path, "torch", factory="one", loss=loss, learning_rate=0.001)
    metrics = [entry["metric"] for entry in result["history"]]
    assert metrics[0] < metrics[-1] < 0


def test_nothing_half_written_is_left(folder: Path, trained: dict[str, Any]) -> None:
    assert sorted(file.name for file in (folder / "trained").iterdir()) == ["checkpoint.pt", "weights.pt"]
