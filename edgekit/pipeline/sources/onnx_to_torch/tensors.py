"""ONNX's tensors and element types as torch's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from edgekit.errors import ConversionError

#: Torch's dtype for each of ``TensorProto.DataType`` that it has.
DTYPES = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
    TensorProto.COMPLEX64: torch.complex64,
    TensorProto.COMPLEX128: torch.complex128,
    TensorProto.FLOAT8E4M3FN: torch.float8_e4m3fn,
    TensorProto.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
    TensorProto.FLOAT8E5M2: torch.float8_e5m2,
    TensorProto.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
}
ELEMENT_TYPES = {dtype: element_type for element_type, dtype in DTYPES.items()}
#: Types of numpy's that it has under ml_dtypes' names: what they are stored as, and torch's name.
_VIEWED = {
    ml_dtypes.bfloat16: (np.int16, torch.bfloat16),
    ml_dtypes.float8_e4m3fn: (np.uint8, torch.float8_e4m3fn),
    ml_dtypes.float8_e4m3fnuz: (np.uint8, torch.float8_e4m3fnuz),
    ml_dtypes.float8_e5m2: (np.uint8, torch.float8_e5m2),
    ml_dtypes.float8_e5m2fnuz: (np.uint8, torch.float8_e5m2fnuz),
}


@dataclass(frozen=True)
class Narrow:
    """A type of whole numbers of less than eight bits, which torch computes with in the next one that has eight."""

    bits: int
    dtype: torch.dtype

    @property
    def low(self) -> int:
        return 0 if self.dtype == torch.uint8 else -(2 ** (self.bits - 1))

    @property
    def high(self) -> int:
        return self.low + 2**self.bits - 1


NARROW = {
    TensorProto.INT4: Narrow(4, torch.int8),
    TensorProto.UINT4: Narrow(4, torch.uint8),
    TensorProto.INT2: Narrow(2, torch.int8),
    TensorProto.UINT2: Narrow(2, torch.uint8),
}
#: Name of the attribute of a tensor of such numbers that says so.
_MARK = "onnx_narrow"


def marked(value: Any, narrow: Narrow) -> Any:
    """*value*, remembered to be of *narrow* numbers."""
    setattr(value, _MARK, narrow)
    return value


def narrow_of(value: Any) -> Narrow | None:
    """What *value* was `marked` as."""
    return vars(value).get(_MARK)


def type_of(value: Any) -> Narrow | torch.dtype:
    """The element type of *value*."""
    return narrow_of(value) or value.dtype


def type_named(element_type: int, what: str) -> Narrow | torch.dtype:
    """The type that ONNX has a number for. Raises as `dtype_of`."""
    return NARROW.get(element_type) or dtype_of(element_type, what)


def dtype_of(element_type: int, what: str) -> torch.dtype:
    """Torch's dtype for *element_type*. Raises `ConversionError` (``EK-UNSUPPORTED``) where it has none."""
    if element_type not in DTYPES:
        known = element_type in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(element_type).lower() if known else str(element_type)
        message = f"{what} is of the type {name}, which PyTorch does not compute with"
        raise ConversionError("EK-UNSUPPORTED", message, "export the model with float32 and whole numbers")
    return DTYPES[element_type]


def tensor_of(stored: onnx.TensorProto) -> torch.Tensor:
    """The values of *stored*. Raises `ConversionError` (``EK-UNSUPPORTED``) for types that torch lacks."""
    found = type_named(stored.data_type, f"the tensor {stored.name!r}")
    array = numpy_helper.to_array(stored)
    if isinstance(found, Narrow):
        whole = array.astype(np.uint8 if found.dtype == torch.uint8 else np.int8)
        return marked(torch.from_numpy(whole), found)
    return torch_array(array)


def torch_array(array: np.ndarray) -> torch.Tensor:
    """*array* as a tensor with memory of its own."""
    for kind, (stored, dtype) in _VIEWED.items():
        if array.dtype == kind:
            return torch.from_numpy(array.view(stored).copy()).view(dtype)
    return torch.from_numpy(np.array(array, order="C"))
