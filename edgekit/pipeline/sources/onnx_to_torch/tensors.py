"""ONNX's tensors and element types as torch's."""

from __future__ import annotations

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


def dtype_of(element_type: int, what: str) -> torch.dtype:
    """Torch's dtype for *element_type*. Raises `ConversionError` (``EK-UNSUPPORTED``) where it has none."""
    if element_type not in DTYPES:
        name = (
            TensorProto.DataType.Name(element_type) if element_type in TensorProto.DataType.values() else element_type
        )
        message = f"{what} is of the type {str(name).lower()}, which PyTorch does not compute with"
        raise ConversionError(
            "EK-UNSUPPORTED", message, "export the model with float32 and whole numbers of 8 bits or more"
        )
    return DTYPES[element_type]


def tensor_of(stored: onnx.TensorProto) -> torch.Tensor:
    """The values of *stored*. Raises `ConversionError` (``EK-UNSUPPORTED``) for types that torch lacks."""
    dtype_of(stored.data_type, f"the tensor {stored.name!r}")
    return torch_array(numpy_helper.to_array(stored))


def torch_array(array: np.ndarray) -> torch.Tensor:
    """*array* as a tensor with memory of its own."""
    for kind, (stored, dtype) in _VIEWED.items():
        if array.dtype == kind:
            return torch.from_numpy(array.view(stored).copy()).view(dtype)
    return torch.from_numpy(np.array(array, order="C"))
