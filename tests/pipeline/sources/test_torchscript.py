"""TorchScript files: which are taken, what they become, and that nothing hostile runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from support.damage import check_cuts
from torch import nn

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents, open_source
from edgekit.runtime.contents.refusal import Malformed, Refused
from edgekit.runtime.contents.torchscript import read
from edgekit.source_kinds import kind_of
from edgekit.tensors import TensorSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
IMAGE = (TensorSpec("image", (1, 1, 12, 12), "float32"),)
ROW = (TensorSpec("x", (1, 4), "float32"),)


class Net(nn.Module):
    """A convolution, a branch on shapes, a loop, an LSTM, and a resize whose scale is None."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))
        self.rnn = nn.LSTM(4, 5, batch_first=True)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.body(image)
        if y.shape[2] > 3:
            y = y * 2
        for _ in range(2):
            y = y + 1
        rows = self.rnn(y.flatten(1)[:, None, -4:])[0]
        return nn.functional.interpolate(y, scale_factor=2.0), rows.sum(1)


AROUND = """
from pathlib import Path

import torch


class Around(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.part = torch.jit.load(Path(__file__).with_name("part.pt"))

    def forward(self, x):
        return {"scaled": self.part(x, 3) + 1}


def make():
    return Around()
"""


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            return x * 2
        return x


class Saves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "/tmp/edgekit-never-written")
        return x


class Scales(nn.Module):
    def forward(self, x: torch.Tensor, scale: int) -> torch.Tensor:
        return x * scale


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def saved(module: torch.jit.ScriptModule, path: Path) -> Path:
    torch.jit.save(module, path)
    return path


@pytest.mark.parametrize("how", ["traced", "scripted", "frozen"])
def test_a_file_computes_what_the_module_did(net: Net, how: str, tmp_path: Path) -> None:
    sample = torch.randn(1, 1, 12, 12)
    script = torch.jit.trace(net, sample) if how == "traced" else torch.jit.script(net)
    path = saved(torch.jit.freeze(script) if how == "frozen" else script, tmp_path / "net.pt")
    assert kind_of(path) == "torchscript"
    source = open_source(SourceSpec("torchscript", str(path), inputs=IMAGE))
    expected = [each.detach().numpy() for each in net(sample)]
    found = source.predict({"image": sample.numpy()})
    program = torch.export.export(source.torch_module(), (sample,))
    for value, result, other in zip(expected, found.values(), program.module()(sample), strict=True):
        np.testing.assert_allclose(result, value, atol=1e-6)
        np.testing.assert_allclose(other.detach().numpy(), value, atol=1e-6)
    names = {str(node.target) for node in program.graph.nodes}
    assert "aten.conv2d.default" in names and "aten._convolution.default" not in names
    assert 200 < source.parameter_count < 260


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Scales(), "takes 'scale', of type int, and files take tensors alone"),
        (Branches(), "TorchScript that torch"),
    ],
)
def test_what_cannot_be_exported_is_said(module: nn.Module, words: str, tmp_path: Path) -> None:
    path = saved(torch.jit.script(module), tmp_path / "net.jit")
    with pytest.raises(UsageError) as caught:
        open_source(SourceSpec("torchscript", str(path), inputs=ROW)).torch_module()
    assert (caught.value.code, words in caught.value.message) == ("EK-SOURCE", True), caught.value.message
    assert caught.value.hint


def test_a_module_around_it_gives_it_what_is_no_tensor(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Scales()), tmp_path / "part.pt")
    with pytest.raises(UsageError, match="takes 'scale', of type int") as caught:
        open_source(SourceSpec("torchscript", str(tmp_path / "part.pt"), inputs=ROW))
    assert "returns a torch.nn.Module around it" in str(caught.value.hint)
    (tmp_path / "net.py").write_text(AROUND)
    source = open_source(SourceSpec("torch", str(tmp_path / "net.py"), "make", inputs=ROW))
    x = torch.randn(1, 4)
    exported = torch.export.export(source.torch_module(), (x,)).module()
    torch.testing.assert_close(exported(x), 3 * x + 1)


def test_what_its_interpreter_refuses_is_said_with_the_reason(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Net().eval()), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"does not take x: float32\[1, 4\]: RuntimeError: Expected 3D"):
        open_source(SourceSpec("torchscript", str(tmp_path / "net.pt"), inputs=ROW))


def test_what_writes_files_is_refused_by_name_before_torch_sees_it(tmp_path: Path) -> None:
    path = saved(torch.jit.script(Saves()), tmp_path / "net.pt")
    with pytest.raises(Refused, match="'aten::save'"):
        read(path.read_bytes())
    with pytest.raises(UsageError) as caught:
        contents.check(SourceSpec("torchscript", str(path), inputs=ROW))
    assert caught.value.code == "EK-CONTENTS" and "--trust" in str(caught.value.hint)
    assert contents.check(SourceSpec("torchscript", str(path), inputs=ROW, trust=True)) is not None


def rewritten(path: Path, end: str, old: bytes, new: bytes) -> bytes:
    """The archive with *old* replaced in its files whose names end so; all of those where it is empty."""
    buffer, found = io.BytesIO(), 0
    with zipfile.ZipFile(path) as given, zipfile.ZipFile(buffer, "w") as made:
        for name in given.namelist():
            data = given.read(name)
            if name.endswith(end) and old in data:
                found += 1
                data = data.replace(old, new) if old else new
            made.writestr(zipfile.ZipInfo(name), data)
    assert found
    return buffer.getvalue()


def test_a_method_of_a_tensor_is_known_by_what_it_compiles_to(tmp_path: Path) -> None:
    """``x.resize_(…)`` may be anything in the text; in the compiled graph it is an operator."""
    path = saved(torch.jit.script(nn.ReLU()), tmp_path / "net.pt")
    hostile = b"_1 = input.resize_([1, 4])\n    return _0"
    (tmp_path / "hostile.pt").write_bytes(rewritten(path, ".py", b"return _0", hostile))
    read((tmp_path / "hostile.pt").read_bytes())
    with pytest.raises(UsageError) as caught:
        open_source(SourceSpec("torchscript", str(tmp_path / "hostile.pt"), inputs=ROW))
    assert (caught.value.code, "'aten::resize_'" in caught.value.message) == ("EK-CONTENTS", True), caught.value.message


def test_pickles_name_nothing_else(tmp_path: Path) -> None:
    path = saved(torch.jit.script(nn.Linear(2, 2)), tmp_path / "net.pt")
    hostile = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
    for name in ("data.pkl", "constants.pkl"):
        with pytest.raises(Refused, match=r"'os\.system'"):
            read(rewritten(path, name, b"", hostile))
    with pytest.raises(Refused, match="__setstate__"):
        read(rewritten(path, ".py", b"def forward", b"def __setstate__"))


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    path = saved(torch.jit.script(nn.Linear(2, 2)), tmp_path / "net.pt")
    whole = path.read_bytes()
    check_cuts(read, whole, 97)
    with pytest.raises(Malformed, match="its code is damaged"):
        read(rewritten(path, ".py", b"def forward", b"def ((("))


def test_weights_are_no_program(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt")
    assert kind_of(tmp_path / "weights.pt") is None
