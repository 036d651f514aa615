"""Weights for a PyTorch factory: in which files, under which names, and what is said of those that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.pipeline.sources.torch_weights import load_weights


class Net(nn.Module):
    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.head = nn.Linear(2, 2)
        if tied:
            self.tail = nn.Linear(2, 2)
            self.tail.weight = self.head.weight


def state_of(seed: int, **more: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {key: torch.randn_like(value.float()).to(value.dtype) for key, value in Net(**more).state_dict().items()}


STATE = state_of(1)


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in STATE.items()}


@pytest.fixture(params=["model.safetensors", "model.pt", "old.pth"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[object], Path]:
    def write(value: object) -> Path:
        path = tmp_path / request.param
        if path.suffix == ".safetensors" and isinstance(value, dict) and all(map(torch.is_tensor, value.values())):
            safetensors.torch.save_file(value, path)
            return path
        path = path.with_suffix(".pth" if path.suffix == ".safetensors" else path.suffix)  # it holds tensors alone
        torch.save(value, path, _use_new_zipfile_serialization="old" not in path.name)
        return path

    return write


@pytest.mark.parametrize(
    "value",
    [
        STATE,
        prefixed("module."),
        prefixed("model._orig_mod."),
        {**prefixed("net."), "loss.weight": torch.ones(3)},
        {key: value for key, value in STATE.items() if "num_batches" not in key},
        {"state_dict": prefixed("model."), "epoch": 3, "optimizer_states": [{"state": {0: torch.ones(1)}}]},
        {"model": {"state_dict": STATE}, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    ],
    ids=["plain", "parallel", "compiled", "lightning", "no counters", "checkpoint", "nested"],
)
def test_weights_are_found_wherever_trainers_put_them(save: Callable[[object], Path], value: object) -> None:
    net = Net()
    load_weights(net, save(value), trust=False)
    for key, tensor in net.state_dict().items():
        if "num_batches" not in key:
            assert torch.equal(tensor, STATE[key]), key


def test_a_module_around_the_model_takes_its_weights(tmp_path: Path) -> None:
    outer = nn.Module()
    outer.model = Net()
    torch.save(STATE, tmp_path / "w.pt")
    load_weights(outer, tmp_path / "w.pt", trust=False)
    assert torch.equal(outer.model.head.weight, STATE["head.weight"])


def test_tied_weights_are_there_once(tmp_path: Path) -> None:
    state = state_of(2, tied=True)
    del state["tail.weight"]
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    net = Net(tied=True)
    load_weights(net, tmp_path / "w.safetensors", trust=False)
    assert net.tail.weight is net.head.weight
    assert torch.equal(net.tail.weight, state["head.weight"])


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    half = {key: value.bfloat16() if value.is_floating_point() else value for key, value in STATE.items()}
    safetensors.torch.save_file(half, tmp_path / "w.safetensors")
    net = Net()
    load_weights(net, tmp_path / "w.safetensors", trust=False)
    assert net.head.weight.dtype == torch.float32
    assert torch.equal(net.head.weight, half["head.weight"].float())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({**STATE, "head.weight": torch.ones(2, 3)}, "head.weight is [2, 3], the model's is [2, 2]"),
        ({k: v for k, v in STATE.items() if not k.startswith("head")}, "head.weight, head.bias are missing"),
        ({**prefixed("module."), "module.more": torch.ones(1)}, "more is unknown"),
        ({"other": torch.ones(1)}, "body.0.weight, body.0.bias, body.1.weight and 5 more are missing"),
        ({"ema": STATE, "model": STATE}, "more than one set that fits the model: 'ema' and 'model'"),
        ({}, "not a state_dict"),
        ([torch.ones(1)], "not a state_dict"),
    ],
)
def test_what_does_not_fit_is_named(save: Callable[[object], Path], value: object, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_weights(Net(), save(value), trust=False)
    assert caught.value.code == "EK-CHECKPOINT"
    assert words in caught.value.message
    assert caught.value.hint


def entry(**more: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **more}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ({"a": entry()}, 4),
        ({"a": entry()}, 12),
        ({"a": entry(), "b": entry()}, 8),
        ({"a": entry(), "b": entry(data_offsets=[12, 20])}, 20),
        ({"a": entry(shape=[1 << 40], data_offsets=[0, 8])}, 8),
        ({"a": entry(shape=[-2])}, 8),
        ({"a": entry(shape=[1] * 20 + [2])}, 8),
        ({"a": entry(dtype="PY")}, 8),
        ({"a": {"dtype": "F32"}}, 8),
        ({"a": 3}, 8),
        ([1], 8),
    ],
)
def test_damaged_safetensors_are_refused_in_one_line(tmp_path: Path, table: object, values: int) -> None:
    text = json.dumps(table).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(values))
    with pytest.raises(UsageError) as caught:
        load_weights(Net(), path, trust=False)
    assert caught.value.code == "EK-CHECKPOINT"


def test_cut_short_at_any_byte(tmp_path: Path) -> None:
    whole = safetensors.torch.save(STATE)
    path = tmp_path / "w.safetensors"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(UsageError) as caught:
            load_weights(Net(), path, trust=False)
        assert caught.value.code in ("EK-CHECKPOINT", "EK-CONTENTS")
