"""Exports that take minutes say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from edgekit.pipeline.exporters.recurrence import announce, steps_in
from edgekit.pipeline.work import events
from edgekit.pipeline.work.events import Step


@pytest.mark.parametrize(
    ("layer", "steps"),
    [
        (lambda: nn.GRU(3, 4, batch_first=True), 7),
        (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), 28),
        (lambda: nn.RNN(3, 4), 1),
        (lambda: nn.Linear(3, 4), 0),
    ],
)
def test_steps_are_counted_in_all_layers_and_directions(layer: Callable[[], nn.Module], steps: int) -> None:
    assert steps_in(torch.export.export(layer().eval(), (torch.ones(1, 7, 3),)).module()) == steps


def test_many_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(events, "_listeners", [said.append])
    for length in (64, 65):
        announce(torch.export.export(nn.GRU(3, 4, batch_first=True).eval(), (torch.ones(1, length, 3),)).module())
    assert said == [Step("exporting 65 recurrent steps one by one, which takes minutes")]
