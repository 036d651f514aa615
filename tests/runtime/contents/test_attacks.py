"""Hostile model files are refused by name, before a library sees a byte of them, and leave no mark."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import IMAGE, SmallModels
from support import hostile_files
from support.hostile_files import PT2, PTL, TRAP, Maker, good_pt2

from edgekit.errors import BundleError, EdgekitError
from edgekit.runtime import contents, engines
from edgekit.runtime.contents import Malformed, Refused, state_dict
from edgekit.tensors import Signature, TensorSpec

SMALL = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 3), "float32"),))
FLAT = Signature((TensorSpec("x", (4,), "float32"),), (TensorSpec("y", (4,), "float32"),))
#: What does no harm once it is left out.
LEFT_OUT = ("code as a guard", "imports by metadata", "pickled sample inputs")


@pytest.fixture(autouse=True)
def trap() -> Iterator[None]:
    """No attack imports the trap."""
    sys.modules.pop(TRAP, None)
    yield
    assert TRAP not in sys.modules


def attack(engine: str, format: str, data: bytes, mark: Path, signature: Signature = SMALL) -> BundleError:
    """Load the file and run it once; the refusal."""
    with pytest.raises(BundleError) as caught:
        session = engines.open_session(engine, data, format, signature, 1)
        session.run([np.zeros(spec.shape, spec.dtype) for spec in signature.inputs])
    assert not mark.exists()
    assert caught.value.exit_code == 6 and caught.value.code in ("EK-CONTENTS", "EK-BUNDLE")
    assert "\n" not in caught.value.message and caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", [name for name in PT2 if name not in LEFT_OUT])
def test_pt2(name: str, tmp_path: Path) -> None:
    error = attack("torch", "pt2", PT2[name](tmp_path / "made"), tmp_path / "made")
    damaged = name in ("a pickle and no archive", "two files of one name")
    assert error.code == ("EK-BUNDLE" if damaged else "EK-CONTENTS"), error.message


@pytest.mark.parametrize("name", LEFT_OUT)
def test_pt2_without_what_would_run(name: str, tmp_path: Path) -> None:
    data = PT2[name](tmp_path / "made")
    assert data != good_pt2()
    session = engines.open_session("torch", data, "pt2", SMALL, 1)
    session.run([np.zeros((1, 4), np.float32)])
    session.close()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["pickled weight", "pickled sample inputs", "code as an input's name"])
def test_what_torch_would_do_with_them(name: str, tmp_path: Path) -> None:
    """When torch no longer makes the folder, `edgekit.runtime.contents.pt2` can do less."""
    import contextlib
    import io

    with contextlib.suppress(Exception):  # it has done it by then, whatever it says of the rest
        program = torch.export.load(io.BytesIO(PT2[name](tmp_path / "made")))
        program.module()(torch.zeros(1, 4))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", PTL)
def test_ptl(name: str, tmp_path: Path) -> None:
    attack("pytorch-mobile", "ptl", PTL[name](tmp_path / "made"), tmp_path / "made")


@pytest.mark.parametrize("name", ["FromFile", "FromFileOnLoading"])
def test_what_the_lite_interpreter_would_do(name: str, tmp_path: Path) -> None:
    """When it writes no file, `edgekit.runtime.contents.ptl` can do less."""
    engine = engines.engine("pytorch-mobile")
    session = engine.open(PTL[name](tmp_path / "made"), FLAT, 1)
    session.run([np.zeros(4, np.float32)])
    session.close()
    assert (tmp_path / "made").exists()


@cache
def _makers(kind: str) -> dict[str, Maker]:
    return dict({"onnx": hostile_files.onnx_makers, "weights": hostile_files.weights_makers}[kind]())


@pytest.mark.parametrize("name", _makers("onnx"))
def test_onnx(name: str, tmp_path: Path) -> None:
    attack("onnxruntime", "onnx", _makers("onnx")[name](tmp_path / "made"), tmp_path / "made", FLAT)


def test_a_good_onnx_file_is_taken() -> None:
    session = engines.open_session("onnxruntime", hostile_files.onnx(), "onnx", FLAT, 1)
    np.testing.assert_array_equal(session.run([np.ones(4, np.float32)])[0], [2, 3, 4, 5])


TFLITE = [
    "Flex operator", "custom operator", "nameless custom operator", "delegate", "place for greater numbers",
    "custom call", "unknown operator", "negative operator", "endless loop", "weights in another file",
    "tensor outside", "buffer outside", "constant cut short", "terabytes", "order of operators",
    "missing input", "missing weights", "never computed output",
]  # fmt: skip
PTE = [
    "operator of another library", "unknown operator", "unknown overload", "backend", "part without a header",
    "part of another kind", "version",
]  # fmt: skip


@pytest.mark.parametrize("name", TFLITE)
def test_tflite(small_models: SmallModels, name: str, tmp_path: Path) -> None:
    makers = dict(hostile_files.tflite_makers(small_models.files["image.tflite"]))
    assert list(makers) == TFLITE
    attack("litert", "tflite", makers[name](tmp_path / "made"), tmp_path / "made", IMAGE)


@pytest.mark.parametrize("name", PTE)
def test_pte(small_models: SmallModels, name: str, tmp_path: Path) -> None:
    files = small_models.files
    makers = dict(hostile_files.pte_makers(files["plain.pte"], files["image.pte"]))
    assert list(makers) == PTE
    attack("executorch", "pte", makers[name](tmp_path / "made"), tmp_path / "made", IMAGE)


@pytest.mark.parametrize("name", _makers("weights"))
def test_weights(name: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        state_dict.read(_makers("weights")[name](tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_a_refusal_names_the_operator_and_what_it_would_do() -> None:
    data = hostile_files.ptl(hostile_files.FromFile("x"))
    with pytest.raises(BundleError) as caught:
        engines.open_session("pytorch-mobile", data, "ptl", FLAT, 1)
    assert caught.value.code == "EK-CONTENTS" and "'aten::from_file'" in caught.value.message
    assert "write files" in caught.value.message


def test_files_of_formats_that_are_not_edgekits_own_are_taken_as_they_are() -> None:
    assert contents.check(b"anything", "theirs").data == b"anything"


def test_a_name_out_of_a_file_is_short_and_printable() -> None:
    data = hostile_files.onnx(lambda model: setattr(model.graph.node[0], "op_type", "\x1b[2J" * 100))
    with pytest.raises(Refused) as caught:
        contents.check(data, "onnx")
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 500
    with pytest.raises(EdgekitError):
        contents.checked(data, "onnx")
