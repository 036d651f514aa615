"""``.ptl``: PyTorch Mobile's archive, read without PyTorch and without executing what its pickles name."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts

_KINDS = {
    name: kind
    for kind, names in {
        "convolution": (
            "aten::conv1d",
            "aten::conv2d",
            "aten::_convolution",
            "quantized::conv2d",
            "quantized::conv2d_relu",
        ),
        "linear": ("aten::linear", "aten::addmm", "aten::matmul", "quantized::linear", "quantized::linear_relu"),
        "recurrent": ("aten::lstm", "aten::gru"),
    }.items()
    for name in names
}
_STORAGES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "DoubleStorage": "float64",
    "QInt8Storage": "int8",
    "CharStorage": "int8",
    "QUInt8Storage": "uint8",
    "ByteStorage": "uint8",
    "QInt32Storage": "int32",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
}
#: Operators that only change the type of a tensor.
_PLUMBING = ("aten::quantize_per_tensor", "aten::dequantize", "aten::to")


def read(data: bytes) -> FileFacts:
    """The facts of a ``.ptl`` file. PyTorch Mobile has no delegate here: every operator is outside.

    Raises:
        ValueError: It is none, or lacks the lite interpreter's bytecode.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        found = [tensors for part in ("data.pkl", "constants.pkl") for tensors in _Reader(files[part]).tensors()]
        _, *methods = _Reader(files["bytecode.pkl"]).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, AttributeError, EOFError) as error:
        raise ValueError(f"no lite interpreter archive: {error}") from error
    (forward,) = (dict(code) for name, code, *_ in methods if name.endswith(".forward"))
    names = [operator[0] for operator in forward["operators"]]
    calls = Counter(names[index] for kind, index, _ in forward["instructions"] if kind in ("OP", "OPN"))
    for plumbing in _PLUMBING:
        calls.pop(plumbing, None)
    return FileFacts.of(found, {}, calls, _KINDS)


class _Stub:
    """Stands for whatever class a pickle names; keeps nothing."""

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Notes the tensors of a pickle; everything else it names becomes a stub, so that nothing of it is executed."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self._tensors: dict[str, Constant] = {}

    def tensors(self) -> Iterator[Constant]:
        """The tensors that share no storage with an earlier one, but single numbers: scales and zero points."""
        self.load()
        yield from (tensor for tensor in self._tensors.values() if tensor.rank)

    def find_class(self, module: str, name: str) -> Any:
        if name in ("_rebuild_tensor_v2", "_rebuild_qtensor"):
            return self._note
        return type(name, (_Stub,), {})

    def persistent_load(self, reference: Any) -> tuple[str, str, int]:
        _, storage, key, _, count = reference
        return storage.__name__, str(key), int(count)

    def _note(self, storage: tuple[str, str, int], offset: int, shape: tuple[int, ...], *_: Any) -> None:
        kind, key, count = storage
        dtype = _STORAGES[kind]
        self._tensors.setdefault(key, Constant(dtype, len(shape), count * np.dtype(dtype).itemsize))
