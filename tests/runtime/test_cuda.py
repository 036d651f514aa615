"""The baselines on a GPU: skipped with a reason where there is none; their steps, with the CPU in the GPU's place."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.baselines import SIGNATURE, expected, export, samples
from torch import nn

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError
from edgekit.manifest import Manifest
from edgekit.runtime import engines
from edgekit.runtime.engines import cuda
from edgekit.runtime.engines.base import Session
from edgekit.runtime.engines.onnxruntime_cuda import OnnxDeviceSession
from edgekit.runtime.engines.torch_device import TorchDeviceSession
from edgekit.runtime.engines.torch_eager import load_program
from edgekit.runtime.machine import read_machine
from edgekit.runtime.selection import choices, choose
from edgekit.tensors import Signature, TensorSpec

ON_GPU = ["torch-cuda", "torch-compile-cuda", "onnxruntime-cuda"]
FORMATS = {"torch-cuda": "pt2", "torch-compile-cuda": "pt2", "onnxruntime-cuda": "onnx"}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("cuda")
    return {format: export(format, folder / f"model.{format}") for format in ("pt2", "onnx")}


@pytest.fixture
def machine_with_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake: the device file of a GPU, and libraries that are built for one."""
    (tmp_path / "nvidia0").touch()
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(cuda, "DEVICES", tmp_path)
    monkeypatch.setattr(cuda, "torch_cuda", lambda: "12.8")
    monkeypatch.setattr(cuda, "onnxruntime_has_cuda", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CXX", "sh")  # as if there were a compiler, for torch.compile
    return tmp_path


def test_conditions_can_tell_which_engines_compute_on_a_gpu() -> None:
    assert {name: engines.engine(name).accelerator for name in engines.ENGINES.names()} == {
        **dict.fromkeys(engines.ENGINES.names(), "cpu"),
        **dict.fromkeys(ON_GPU, "cuda"),
        "litert-webgpu": "webgpu",
    }


@without_gpu
@pytest.mark.parametrize("name", ON_GPU)
def test_without_a_gpu_the_reason_is_shown_and_nothing_runs(
    files: dict[str, bytes], name: str, small_bundle: Path, machine_with_gpu: Path
) -> None:
    assert engines.engine(name).version() is not None  # with the fake
    (machine_with_gpu / "nvidia0").unlink()
    assert engines.engine(name).version() is None and name not in engines.available()
    with pytest.raises(EdgekitError, match="sees no CUDA device: this machine has none") as caught:
        engines.open_session(name, files[FORMATS[name]], FORMATS[name], SIGNATURE, 1)
    assert caught.value.code == "EK-ENGINE" and "NVIDIA GPU" in str(caught.value.hint)

    with Bundle.open(small_bundle) as bundle:
        manifest = _of_format(bundle.manifest, FORMATS[name])
    found = tuple(choices(manifest, read_machine(), engine=name))
    assert not found[0].usable and "sees no CUDA device" in found[0].reason
    with pytest.raises(EdgekitError, match="sees no CUDA device") as caught:
        choose(found[:1])
    assert "NVIDIA GPU" in str(caught.value.hint)
    assert next(choices(manifest, read_machine(), engine=name, installed={})).reason == "not installed"


def _of_format(manifest: Manifest, format: str) -> Manifest:
    return replace(manifest, variants=tuple(replace(entry, format=format) for entry in manifest.variants))


def test_hidden_gpus_are_none(machine_with_gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cuda.why_no_device("torch") == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert cuda.why_no_device("torch") == ""
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert "CUDA_VISIBLE_DEVICES hides them" in cuda.why_no_device("torch")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("__version__ = '2.13.0'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n", "12.8"),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '6.2'\n", None),
        ("cuda = '11.8'", "11.8"),
    ],
)
def test_the_build_of_torch_is_read_from_its_files(
    text: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version.py").write_text(text)
    monkeypatch.setattr(cuda, "package_folders", lambda package: [tmp_path])
    assert cuda.torch_cuda() == version


def test_the_builds_that_are_installed_are_told_apart_without_importing_them() -> None:
    assert cuda.torch_cuda() == torch.version.cuda
    code = "import sys; from edgekit.runtime import engines; engines.available(); engines.why_missing('torch-cuda');"
    code += "assert not {'torch', 'onnxruntime', 'triton'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_build_without_cuda_says_so(machine_with_gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "torch_cuda", lambda: None)
    monkeypatch.setattr(cuda, "onnxruntime_has_cuda", lambda: False)
    assert engines.why_missing("torch-cuda") == f"torch {torch.__version__} is a build without CUDA"
    assert engines.why_missing("onnxruntime-cuda").endswith("is a build without CUDA")


@without_gpu
def test_a_driver_that_torch_cannot_use_is_one_line(files: dict[str, bytes], machine_with_gpu: Path) -> None:
    with pytest.raises(EdgekitError, match="torch sees no CUDA device") as caught:
        engines.open_session("torch-cuda", files["pt2"], "pt2", SIGNATURE, 1)
    assert caught.value.code == "EK-ENGINE"


@without_gpu
def test_onnxruntime_does_not_fall_back_to_the_cpu_unseen(files: dict[str, bytes], machine_with_gpu: Path) -> None:
    with pytest.raises(EdgekitError, match="CUDA") as caught:
        engines.open_session("onnxruntime-cuda", files["onnx"], "onnx", SIGNATURE, 1)
    assert caught.value.code in ("EK-ENGINE", "EK-RUN") and "\n" not in caught.value.message


def on_cpu(name: str, files: dict[str, bytes]) -> Session:
    """A session of the engine called *name*, with the CPU for a device."""
    if name == "onnxruntime-cuda":
        return OnnxDeviceSession(name, files["onnx"], SIGNATURE, 1, "cpu")
    return TorchDeviceSession(name, SIGNATURE, 1, lambda: load_program(name, files["pt2"], SIGNATURE), "cpu")


each_session = pytest.mark.parametrize("name", ["torch-cuda", "onnxruntime-cuda"])


@each_session
def test_inputs_go_in_and_outputs_come_out_as_copies(name: str, files: dict[str, bytes]) -> None:
    session = on_cpu(name, files)
    for inputs in samples():
        for output, wanted in zip(session.run(inputs), expected(inputs), strict=True):
            assert output.dtype == wanted.dtype
            np.testing.assert_allclose(output, wanted, atol=1e-6)
    (left, index), other = samples(2)
    assert session.steps is not None
    write, invoke, read = session.steps
    wide = np.zeros((1, 8), np.float32)
    wide[:, ::2] = left
    write([wide[:, ::2], index])
    wide[:] = 7  # what was written is there already
    invoke()
    first = read()
    np.testing.assert_allclose(first[0], expected([left, index])[0], atol=1e-6)
    kept = first[0].copy()
    session.run(other)
    np.testing.assert_array_equal(first[0], kept)
    first[0][:] = 7
    np.testing.assert_array_equal(session.run([left, index])[0], kept)
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="closed"):
        session.run(other)


@each_session
def test_a_file_that_cannot_be_used_is_one_line(name: str, files: dict[str, bytes]) -> None:
    wrong = Signature(SIGNATURE.inputs[:1], SIGNATURE.outputs)
    # What is none of its format does not come to an engine.
    for data in (files[FORMATS[name]], *([b"rubbish" * 99] if name == "onnxruntime-cuda" else [])):
        with pytest.raises(EdgekitError) as caught:
            if name == "onnxruntime-cuda":
                OnnxDeviceSession(name, data, wrong, 1, "cpu")
            else:
                TorchDeviceSession(name, wrong, 1, functools.partial(load_program, name, data, wrong), "cpu")
        assert caught.value.code == "EK-RUN" and caught.value.message.startswith(name)
        assert "\n" not in caught.value.message


class Made(nn.Module):
    """Makes tensors of its own on the way, and keeps one that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.LSTM(4, 4, batch_first=True), nn.BatchNorm1d(4)
        self.kept = torch.ones(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x) + self.kept + torch.arange(4) + torch.tensor([1.0, 2.0, 3.0, 4.0]) + torch.zeros(4).to(x)
        mask = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1).float()
        return self.layer(y[:, None])[0][:, 0] @ mask


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_a_program_is_moved_as_a_whole_and_every_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch's meta device for the GPU: it computes nothing, but refuses tensors of another device."""
    program = torch.export.export(Made().eval(), (torch.zeros(1, 4),))
    program.example_inputs = None
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    signature = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 4), "float32"),))
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    module = load_program("torch-cuda", buffer.getvalue(), signature, "meta")
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"meta"}
    session = TorchDeviceSession("torch-cuda", signature, 1, lambda: module, "meta")
    assert session.steps is not None
    session.steps.write([np.zeros((1, 4), np.float32)])
    assert waited == ["meta"]
    session.steps.invoke()
    assert waited == ["meta", "meta"] and session._results[0].device.type == "meta"
    with pytest.raises(EdgekitError, match="failed to copy the outputs"):  # there are none
        session.steps.read()
    session.close()


@with_gpu
@pytest.mark.parametrize("name", ON_GPU)
def test_a_gpu_gives_the_answers_of_the_float_model(name: str, files: dict[str, bytes]) -> None:
    if engines.engine(name).version() is None:
        pytest.skip(engines.why_missing(name))
    session = engines.open_session(name, files[FORMATS[name]], FORMATS[name], SIGNATURE, 1)
    check: Callable[..., None] = np.testing.assert_allclose
    for inputs in samples():
        for output, wanted in zip(session.run(inputs), expected(inputs), strict=True):
            check(output, wanted, atol=1e-5)
    session.close()
