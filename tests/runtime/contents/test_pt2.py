"""``.pt2`` archives are read as data, and torch gets a new archive of what was read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.baselines import SIGNATURE, export
from support.hostile_files import PROGRAM, packed, pt2_with, unpacked

from edgekit.errors import BundleError, EdgekitError
from edgekit.runtime.contents import Malformed, Refused
from edgekit.runtime.contents.pt2 import read
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return export("pt2", tmp_path_factory.mktemp("pt2") / "model.pt2")


def saved(module: torch.nn.Module, *inputs: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), inputs, **options), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["graph_module"]["graph"].update(nodes=None), "no nodes"),
        (lambda p: p["graph_module"]["graph"]["nodes"].append({}), "calls nothing"),
        (lambda p: p["graph_module"]["graph"]["nodes"].append("target"), "calls nothing"),
        (lambda p: p.pop("graph_module"), "no exported program"),
        (lambda p: p.pop("range_constraints"), "no exported program"),
        (lambda p: p.update(more={"x": 1}), "'more'"),
        (lambda p: p["graph_module"].update(treespec_namedtuple_fields={"x": {"field_names": ["a"]}}), "class"),
        (lambda p: p["graph_module"]["graph"].update(custom_obj_values={"x": {}}), "custom_obj_values"),
    ],
)
def test_other_fields_than_a_program_has_are_refused(change: Callable[[Any], None], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(pt2_with(change))


@pytest.mark.parametrize("name", ["data/aotinductor/model/model.so", "data/weights/model.pt", "extra/notes", "../up"])
def test_other_files_in_the_archive_are_refused(good: bytes, name: str) -> None:
    with pytest.raises(Refused, match="no program of tensors needs"):
        read(packed({**unpacked(good), f"archive/{name}": b"\x7fELF"}))


def test_a_compressed_archive_is_refused(good: bytes) -> None:
    with pytest.raises(Malformed, match="compressed"):
        read(packed(unpacked(good), zipfile.ZIP_DEFLATED))


def test_what_torch_gets_is_what_was_checked(good: bytes) -> None:
    """Bytes around an archive could be read in two ways."""
    found = read(b"before" + good)
    assert read(found.data).data == found.data
    assert found.fixed and json.loads(unpacked(found.data)[f"archive/{PROGRAM}"])["guards_code"] == []
    assert torch.export.load(io.BytesIO(found.data)).graph_signature.user_inputs == ("left", "index")


def test_every_cut_is_refused_in_one_line(good: bytes) -> None:
    for size in range(0, len(good), 997):
        with pytest.raises(BundleError) as caught:
            open_session("torch", good[:size], "pt2", SIGNATURE, 1)
        assert caught.value.code == "EK-BUNDLE" and "\n" not in caught.value.message


def test_weights_outside_of_their_files_are_refused(good: bytes) -> None:
    files = unpacked(good)
    (name,) = (name for name in files if name.endswith("model_weights_config.json"))
    for field, value in (("sizes", 10**6), ("strides", 10**6), ("storage_offset", 10**6)):
        config = json.loads(files[name])
        meta = next(iter(config["config"].values()))["tensor_meta"]
        if field == "storage_offset":
            meta[field] = {"as_int": value}
        else:
            meta[field][0] = {"as_int": value}
        with pytest.raises(Malformed, match="weight"):
            read(packed({**files, name: json.dumps(config).encode()}))


class Nested(torch.nn.Module):
    def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, list[torch.Tensor]]:
        return {"sums": [pair[0] + pair[1], pair[0] - pair[1]], "first": [pair[0]]}


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)[0]


class Quiet(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")


@pytest.mark.parametrize("decomposed", [False, True], ids=["as exported", "decomposed"])
@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Nested(), ((torch.ones(2), torch.ones(2)),)),
        (Branch(), (torch.ones(2),)),
        (Recurrent(), (torch.ones(1, 5, 4),)),
        (Quiet(), (torch.ones(1, 2, 4, 4),)),
        (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (torch.ones(1, 3, 8),)),
        (torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Hardswish()),
         (torch.ones(1, 3, 8, 8),)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)  # fmt: skip
def test_programs_of_honest_models_are_taken(module: torch.nn.Module, inputs: Any, decomposed: bool) -> None:
    program = torch.export.export(module.eval(), inputs)
    if decomposed:
        program = program.run_decompositions()
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    found = read(buffer.getvalue())
    again = torch.export.load(io.BytesIO(found.data)).module()(*inputs)
    with torch.no_grad():
        for one, other in zip(
            *(torch.utils._pytree.tree_leaves(each) for each in (again, module(*inputs))), strict=True
        ):
            np.testing.assert_allclose(one.detach(), other, atol=1e-6)


def test_open_sizes_are_names_and_numbers() -> None:
    data = saved(Quiet(), torch.ones(2, 2, 4, 4), dynamic_shapes={"x": {0: torch.export.Dim("batch", max=16)}})
    found = read(data)
    assert not found.fixed
    program = torch.export.load(io.BytesIO(found.data)).module()
    assert program(torch.ones(3, 2, 4, 4)).shape == (3, 2, 8, 8)


def test_unsafe_indices_are_checked_by_torch_all_the_same() -> None:
    """Decompositions write ``_unsafe_index``; when it reads out of bounds on a CPU, it has to leave the list."""
    with pytest.raises(IndexError):
        torch.ops.aten._unsafe_index.Tensor(torch.zeros(4), [torch.tensor([10**7])])


def test_a_bundles_program_has_fixed_shapes() -> None:
    data = saved(Quiet(), torch.ones(2, 2, 4, 4), dynamic_shapes={"x": {0: torch.export.Dim("batch", max=16)}})
    inputs, outputs = TensorSpec("x", (1, 2, 4, 4), "float32"), TensorSpec("output", (1, 2, 8, 8), "float32")
    with pytest.raises(EdgekitError, match="fit the bundle's signature") as caught:
        open_session("torch", data, "pt2", Signature((inputs,), (outputs,)), 1)
    assert "\n" not in caught.value.message
