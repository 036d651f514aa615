"""The desktop's baseline engines: the same answers as the float model, behind the same interface."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import setuptools  # noqa: F401  torch.compile imports it, which fails once something else has imported distutils
import torch
from support.baselines import SIGNATURE, expected, export, samples

from edgekit.errors import BundleError, EdgekitError
from edgekit.runtime import children, engines
from edgekit.runtime.engines.base import Session
from edgekit.tensors import Signature, TensorSpec

BASELINES = [("torch", "pt2"), ("onnxruntime", "onnx")]
each_engine = pytest.mark.parametrize(("name", "format"), BASELINES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The network of `support.baselines` by format."""
    folder = tmp_path_factory.mktemp("baselines")
    return {format: export(format, folder / f"model.{format}") for format in ("pt2", "onnx")}


def check_answers(session: Session) -> None:
    for inputs in samples():
        for output, wanted in zip(session.run(inputs), expected(inputs), strict=True):
            assert output.dtype == wanted.dtype
            np.testing.assert_allclose(output, wanted, atol=1e-6)


@each_engine
def test_several_inputs_and_outputs_are_those_of_the_float_model(
    files: dict[str, bytes], name: str, format: str
) -> None:
    session = engines.open_session(name, files[format], format, SIGNATURE, 1)
    check_answers(session)
    session.close()


@each_engine
def test_outputs_are_fresh_and_inputs_may_be_strided_or_read_only(
    files: dict[str, bytes], name: str, format: str
) -> None:
    session = engines.open_session(name, files[format], format, SIGNATURE, 1)
    (left, index), (other_left, other_index) = samples(2)
    first = session.run([left, index])
    kept = [output.copy() for output in first]
    wide = np.zeros((1, 8), np.float32)
    wide[:, ::2] = left
    index.flags.writeable = False
    for repeated in (session.run([wide[:, ::2], index]), session.run([np.asfortranarray(left), index])):
        np.testing.assert_array_equal(repeated[0], kept[0])
    assert not np.array_equal(session.run([other_left, other_index])[0], kept[0])
    np.testing.assert_array_equal(first[0], kept[0])
    first[0][:] = 7
    np.testing.assert_array_equal(session.run([left, index])[0], kept[0])
    session.close()


@each_engine
def test_a_closed_session_says_so(files: dict[str, bytes], name: str, format: str) -> None:
    session = engines.open_session(name, files[format], format, SIGNATURE, 1)
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="closed"):
        session.run(samples(1)[0])


@each_engine
@pytest.mark.parametrize("data", [b"", b"rubbish" * 99], ids=["empty", "rubbish"])
def test_a_file_that_is_no_model_is_one_line(name: str, format: str, data: bytes) -> None:
    with pytest.raises(EdgekitError) as caught:
        engines.open_session(name, data, format, SIGNATURE, 1)
    assert caught.value.code == "EK-BUNDLE"
    assert "\n" not in caught.value.message


@each_engine
def test_a_file_that_does_not_fit_the_signature_is_refused(files: dict[str, bytes], name: str, format: str) -> None:
    (left, index), outputs = SIGNATURE.inputs, SIGNATURE.outputs
    for signature, word in (
        (Signature((TensorSpec("left", (1, 5), "float32"), index), outputs), "left"),
        (Signature((left, TensorSpec("index", (1, 3), "int32")), outputs), "index"),
        (Signature((left,), outputs), "inputs"),
        (Signature((left, index), outputs[:1]), "outputs"),
        (Signature((left, index), (outputs[0], TensorSpec("output_1", (1, 1), "int64"))), "output_1"),
    ):
        with pytest.raises(EdgekitError, match=word) as caught:
            engines.open_session(name, files[format], format, signature, 1)
        assert (caught.value.code, caught.value.exit_code) == ("EK-RUN", 6)


@each_engine
def test_there_is_one_method(files: dict[str, bytes], name: str, format: str) -> None:
    engines.open_session(name, files[format], format, SIGNATURE, 1, "forward").close()
    with pytest.raises(EdgekitError, match="encode"):
        engines.open_session(name, files[format], format, SIGNATURE, 1, "encode")


def test_an_engine_of_torch_says_how_many_threads_torch_has(files: dict[str, bytes]) -> None:
    """The number belongs to the process: a second session does not change it under the first."""
    first = engines.open_session("torch", files["pt2"], "pt2", SIGNATURE, 2)
    assert first.threads == torch.get_num_threads() == 2
    second = engines.open_session("torch", files["pt2"], "pt2", SIGNATURE, 1)
    assert second.threads == torch.get_num_threads() == 2
    first.close()
    second.close()
    second.close()
    third = engines.open_session("torch", files["pt2"], "pt2", SIGNATURE, 1)
    assert third.threads == torch.get_num_threads() == 1
    third.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_onnxruntime_has_the_threads_that_were_asked_for(files: dict[str, bytes], threads: int) -> None:
    before = len(os.listdir("/proc/self/task"))
    session = engines.open_session("onnxruntime", files["onnx"], "onnx", SIGNATURE, threads)
    assert session.threads == threads
    assert len(os.listdir("/proc/self/task")) == before + threads - 1  # the caller is one of them
    session.close()


def test_onnxruntime_reads_no_file_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model may name files that hold its tensors; what comes out of a bundle may not reach for any."""
    from onnx import TensorProto, helper

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "graph", [x], [y], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    signature = Signature((TensorSpec("x", (4,), "float32"),), (TensorSpec("y", (4,), "float32"),))
    data = model.SerializeToString()
    with pytest.raises(BundleError, match="'w' is in another file") as caught:
        engines.open_session("onnxruntime", data, "onnx", signature, 1)
    assert caught.value.code == "EK-CONTENTS"
    with pytest.raises(EdgekitError, match="failed to load"):  # what stands behind that
        engines.engine("onnxruntime").open(data, signature, 1)


_OPENS = """
import sys
from edgekit.runtime import engines
from support.baselines import SIGNATURE, samples
session = engines.open_session("onnxruntime", open(sys.argv[1], "rb").read(), "onnx", SIGNATURE, 1)
session.run(samples()[0])
"""


@pytest.mark.parametrize(("code", "tells"), [("import onnxruntime", True), (_OPENS, False)], ids=["itself", "edgekit"])
def test_onnxruntime_tells_nobody_what_it_runs(files: dict[str, bytes], tmp_path: Path, code: str, tells: bool) -> None:
    """By itself, 1.32.0 keeps a number of this machine and a database of what is to be sent, below the home folder."""
    model, home = tmp_path / "model.onnx", tmp_path / "home"
    model.write_bytes(files["onnx"])
    home.mkdir()
    # None of what says that this is a test, or a server that tests: ONNX Runtime then keeps to itself as well.
    environment = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(model)], env=environment, check=True)
    assert any(home.rglob("*onnxruntime*")) == tells


def test_programs_that_edgekit_starts_tell_nobody_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert children.environment()["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert children.environment()["ORT_DISABLE_TELEMETRY"] == "0"  # the user's word


@pytest.mark.system
def test_torch_compile_compiles_once_and_says_what_a_compiler_complains_of(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config, "compile_threads", 1)  # a pool of processes would not pay here
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    session = engines.open_session("torch-compile", files["pt2"], "pt2", SIGNATURE, 1)
    assert session.threads == torch.get_num_threads() == 1
    assert list((tmp_path / "torch-compile").rglob("*.so"))
    check_answers(session)
    session.close()

    broken = tmp_path / "broken-g++"
    complaint = "x.cpp:3:10: fatal error: Python.h: No such file or directory"
    broken.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && exec g++ --version\necho '{complaint}' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(config.cpp, "cxx", (str(broken),))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "empty"))
    torch.compiler.reset()
    with pytest.raises(EdgekitError) as caught:
        engines.open_session("torch-compile", files["pt2"], "pt2", SIGNATURE, 1)
    assert caught.value.code == "EK-RUN" and "Python.h: No such file" in caught.value.message


def test_torch_compile_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert "torch-compile" not in engines.available()
    with pytest.raises(EdgekitError) as caught:
        engines.open_session("torch-compile", b"", "pt2", SIGNATURE, 1)
    assert caught.value.code == "EK-ENGINE" and "apt install g++" in str(caught.value.hint)
