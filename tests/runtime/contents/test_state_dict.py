"""Files of weights: what ``torch.load`` takes is taken, and its tensors are as large as what is stored."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from support.damage import check_cuts
from support.hostile_files import packed, unpacked, weights

from edgekit.runtime.contents import Malformed, Refused
from edgekit.runtime.contents.pickles import load
from edgekit.runtime.contents.state_dict import read


def old(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


VALUES = {
    "state_dict": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict(),
    "parameters": {"w": torch.nn.Parameter(torch.ones(2))},
    "types": {str(dtype): torch.ones(3).to(dtype) for dtype in (torch.half, torch.bfloat16, torch.int8, torch.bool)},
    "views": {"a": torch.arange(12.0).reshape(3, 4).T, "b": torch.arange(12.0)[2:5], "empty": torch.zeros(0, 3)},
    "expanded": {"mask": torch.zeros(1).expand(4, 5)},
    "checkpoint": {
        "epoch": 3,
        "model": OrderedDict(w=torch.ones(2)),
        "lr": 1e-3,
        "name": "x",
        "shape": torch.Size([1]),
    },
}


@pytest.mark.parametrize("save", [weights, old], ids=["zip", "of before 2020"])
@pytest.mark.parametrize("name", VALUES)
def test_honest_files_are_taken(name: str, save: Any) -> None:
    data = save(VALUES[name])
    first, second = (torch.load(io.BytesIO(each), weights_only=True) for each in (data, read(data).data))
    for one, other in zip(*(torch.utils._pytree.tree_leaves(each) for each in (first, second)), strict=True):
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one.detach().float(), other.detach().float())
        else:
            assert one == other


@pytest.mark.parametrize("save", [weights, old], ids=["zip", "of before 2020"])
def test_every_cut_is_refused(save: Any) -> None:
    check_cuts(read, save(VALUES["state_dict"]), 97)


def test_a_storage_that_is_not_there_or_too_small_is_refused() -> None:
    files = unpacked(weights({"w": torch.ones(8)}))
    (name,) = (name for name in files if name.endswith("data/0"))
    with pytest.raises(Malformed, match="storage"):
        read(packed({**files, name: files[name][:-1]}))
    del files[name]
    with pytest.raises(Malformed, match="storage"):
        read(packed(files))


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, "x"]}, ("x", -1, 2**31 - 1, 300, 2**40), [[], {}, ()], {"t": (1, 2, 3)}],
    ids=str,
)
def test_pickles_are_read_as_python_reads_them(value: Any) -> None:
    assert load(pickle.dumps(value, protocol=2), lambda name: False) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80\x02.", b"\x80\x02(.", b"\x80\x02N.N", b"\x80\x02t.", b"\x80\x02h\x05.", b"\x80\x02NR.",
        b"\x80\x02X\xff\xff\xff\xffx.", b"\x80\x02r\xff\xff\xff\xff.", b"\x80\x02]N(Nu.", b"\x80\x05N.",
        b"cos\nsystem\n.", b"\x80\x02]r\xff\xff\xff\x7f" + b"j\xff\xff\xff\x7f" * 3 + b".",
    ],
    ids=str,
)  # fmt: skip
def test_damaged_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        load(data, lambda name: True)


def test_a_name_is_refused_before_anything_is_made_of_it() -> None:
    with pytest.raises(Refused, match=r"os\.system"):
        load(b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R.", lambda name: name.module == "torch")
