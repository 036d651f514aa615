"""Shapes that constants and options of a ``.tflite`` give: LiteRT allocates by them, whatever the file declares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgekit.runtime.contents.flatbuffer import Table
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.contents.sizes import MAX_MEMORY_BYTES

#: Options that are counts of rows or columns, at least one of them.
_COUNTED = ("stride_", "dilation_", "filter_")
_MOST = 1 << 16
#: Of a mask of axes.
_MOST_MASK = 1 << 16
#: Arithmetic by scales, at which LiteRT 2.3.0 ends its process (SIGABRT) where a tensor of bytes has none.
_SCALED = frozenset({"ADD", "SUB", "MUL"})
#: ``TensorType`` of unsigned and signed bytes.
_BYTES = (3, 9)

Shape = Sequence[int]


def _padded(shape: Shape, constant: np.ndarray, _: int) -> list[int]:
    return [size + int(both) for size, both in zip(shape, constant.reshape(-1, 2).sum(1), strict=True)]


def _tiled(shape: Shape, constant: np.ndarray, _: int) -> list[int]:
    return [size * int(times) for size, times in zip(shape, constant, strict=True)]


def _resized(shape: Shape, constant: np.ndarray, _: int) -> list[int]:
    return [shape[0], *map(int, constant), shape[3]]


def _given(_: Shape, constant: np.ndarray, __: int) -> list[int]:
    return list(map(int, constant))


def _one_hot(shape: Shape, constant: np.ndarray, axis: int) -> list[int]:
    axis = axis if axis >= 0 else len(shape) + 1 + axis
    return [*shape[:axis], int(constant.reshape(())), *shape[axis:]]


#: Operator -> which inputs are the tensor and the constant that gives the output's shape, and how.
_SHAPED: dict[str, tuple[int, int, Callable[[Shape, np.ndarray, int], list[int]]]] = {
    "PAD": (0, 1, _padded),
    "PADV2": (0, 1, _padded),
    "MIRROR_PAD": (0, 1, _padded),
    "TILE": (0, 1, _tiled),
    "RESIZE_BILINEAR": (0, 1, _resized),
    "RESIZE_NEAREST_NEIGHBOR": (0, 1, _resized),
    "BROADCAST_TO": (0, 1, _given),
    "FILL": (1, 0, _given),
    "TRANSPOSE_CONV": (2, 0, _given),
    "CONV_3D_TRANSPOSE": (2, 0, _given),
    "ONE_HOT": (0, 1, _one_hot),
}


def _check_masks(name: str, options: Table, axes: int, given: int) -> None:
    """Refuse a slice whose masks are none, or give another number of axes than its tensor has."""
    masks = {key: value for key, value in options.items() if key.endswith("_mask")}
    if any(not 0 <= value < _MOST_MASK for value in masks.values()):
        raise Malformed(f"{name} has masks that there are not: {masks}")
    if given and axes + masks["new_axis_mask"].bit_count() - masks["shrink_axis_mask"].bit_count() != given:
        raise Malformed(f"{name} of {axes} axes does not give {given}")


def _check_scaled(name: str, operands: Sequence[Table]) -> None:
    """Refuse arithmetic on bytes of which nothing says what they stand for."""
    for tensor in operands:
        scales = (tensor["quantization"] or {}).get("scale", ())
        if tensor["type"] in _BYTES and not (len(scales) and all(scale > 0 for scale in scales)):
            raise Malformed(f"{name} computes with bytes that have no scale")


def check_shape(name: str, node: Table, tensors: Sequence[Table], constant: Callable[[Table], memoryview]) -> None:
    """Refuse an operator whose output would be of another shape than its tensor's, or whose window is absurd.

    Args:
        name, node: The operator.
        tensors: Those of its subgraph.
        constant: Gives the bytes of a tensor that is a constant, and none for one that is computed.

    Raises:
        Malformed: It is one.
    """
    options = node["builtin_options"] or {}
    counted = {key: value for key, value in options.items() if key.startswith(_COUNTED)}
    if any(not 1 <= value <= _MOST for value in counted.values()):
        raise Malformed(f"{name} has steps or windows that there are not: {counted}")
    outputs = [tensors[number] for number in node["outputs"]]
    if name in _SCALED:
        _check_scaled(name, [*outputs, *(tensors[number] for number in node["inputs"] if number >= 0)])
    if "shrink_axis_mask" in options and outputs and node["inputs"][0] >= 0:
        _check_masks(name, options, len(tensors[node["inputs"][0]]["shape"]), len(outputs[0]["shape"]))
    if "filter_width" in options and outputs:
        window = options["filter_width"] * options["filter_height"]
        if 8 * window * math.prod(outputs[0]["shape"]) > MAX_MEMORY_BYTES:
            raise Malformed(f"{name} has a window that there is not: {counted}")
    if name not in _SHAPED or len(outputs) != 1:
        return
    shaped, shaping, compute = _SHAPED[name]
    if len(node["inputs"]) <= max(shaped, shaping) or min(node["inputs"][shaped], node["inputs"][shaping]) < 0:
        raise Malformed(f"{name} has too few inputs")
    given = tensors[node["inputs"][shaping]]
    stored = constant(given)
    if not len(stored):
        return
    try:
        dtype = {2: np.int32, 4: np.int64}[given["type"]]
        numbers = np.frombuffer(stored, dtype).astype(object)
        wanted = compute(list(tensors[node["inputs"][shaped]]["shape"]), numbers, options.get("axis", -1))
    except (KeyError, ValueError, IndexError) as error:
        raise Malformed(f"{name} has a constant that gives no shape") from error
    declared, open_ = list(outputs[0]["shape"]), list(outputs[0]["shape_signature"])
    free = [index < len(open_) and open_[index] < 0 for index in range(len(declared))]
    same = len(wanted) == len(declared) and all(
        found == said or (free[index] and found <= _MOST)
        for index, (found, said) in enumerate(zip(wanted, declared, strict=True))
    )
    if not same and any(wanted) and declared:
        raise Malformed(f"{name} gives {wanted}, its tensor is {declared}")
