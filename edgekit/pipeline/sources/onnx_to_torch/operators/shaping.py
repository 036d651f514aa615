"""The shape of tensors, and the order of their axes: nothing here computes."""

from __future__ import annotations

import math
from collections.abc import Hashable

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator

#: Name of the attribute of a tensor that says what it was before its shape was changed, and how that was done.
_BEFORE = "onnx_before"


def _from(before: Value, how: tuple[Hashable, ...], result: Value) -> Value:
    """*result*, remembered to be *before* in another shape: what follows may take that back."""
    setattr(result, _BEFORE, (before, how))
    return result


def _before(x: Value) -> tuple[Value, tuple[Hashable, ...]]:
    """What *x* was before its shape was changed, and how."""
    return vars(x).get(_BEFORE, (None, ("",)))


@operator("Identity")
def identity(node: Node, x: Value) -> Value:
    return x


@operator("Shape")
def shape(node: Node, x: Value) -> Value:
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end")], dtype=torch.int64)


@operator("Size")
def size(node: Node, x: Value) -> Value:
    return torch.tensor(math.prod(x.shape), dtype=torch.int64)


@operator("Reshape")
def reshape(node: Node, x: Value, shape: Value = None) -> Value:
    wanted = node.ints(shape, "shape") if node.opset >= 5 else node.get("shape")
    if not node.get("allowzero", 0):
        wanted = [x.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    if -1 in wanted:  # torch does not work it out for tensors of size 0
        rest = -math.prod(wanted)
        wanted[wanted.index(-1)] = x.numel() // rest if rest else 0
    return _reshaped(x, wanted)


def _reshaped(x: Value, wanted: list[int]) -> Value:
    before, how = _before(x)
    if how[0] in ("reshape", "unsqueeze", "squeeze"):  # the numbers are in the same order
        return _reshaped(before, wanted)
    return x if list(x.shape) == wanted else _from(x, ("reshape",), x.reshape(wanted))


@operator("Flatten")
def flatten(node: Node, x: Value) -> Value:
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    wanted = [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])]
    return _reshaped(x, wanted)


@operator("Transpose")
def transpose(node: Node, x: Value) -> Value:
    order = node.get("perm") or list(reversed(range(x.ndim)))
    before, how = _before(x)
    if how[0] == "permute":
        x, order = before, [how[1:][axis] for axis in order]
    return x if order == list(range(x.ndim)) else _from(x, ("permute", *order), x.permute(order))


@operator("Squeeze")
def squeeze(node: Node, x: Value, axes: Value = None) -> Value:
    given = node.get("axes") if node.opset < 13 else None if axes is None else node.ints(axes, "axes")
    dropped = [at for at, each in enumerate(x.shape) if each == 1] if given is None else [at % x.ndim for at in given]
    if any(x.shape[at] != 1 for at in dropped):
        node.refuse(f"squeezes {list(x.shape)}, where not all of the axes {dropped} have size 1")
    wanted = [each for at, each in enumerate(x.shape) if at not in dropped]
    if len(dropped) != 1:
        return _reshaped(x, wanted)
    before, how = _before(x)
    return before if how == ("unsqueeze", dropped[0]) else _from(x, ("squeeze", dropped[0]), x.squeeze(dropped[0]))


@operator("Unsqueeze")
def unsqueeze(node: Node, x: Value, axes: Value = None) -> Value:
    given = node.get("axes") if node.opset < 13 else node.ints(axes, "axes")
    ndim = x.ndim + len(given)
    for axis in sorted(axis % ndim for axis in given):
        x = one_more_axis(x, axis)
    return x


def one_more_axis(x: Value, axis: int) -> Value:
    """*x* with an axis of 1 at *axis*."""
    before, how = _before(x)
    return before if how == ("squeeze", axis) else _from(x, ("unsqueeze", axis), x.unsqueeze(axis))


@operator("Expand")
def expand(node: Node, x: Value, shape: Value) -> Value:
    wanted = torch.broadcast_shapes(tuple(x.shape), tuple(node.ints(shape, "shape")))
    return x if x.shape == wanted else x.expand(wanted)


@operator("Tile")
def tile(node: Node, x: Value, repeats: Value) -> Value:
    return x.repeat(node.ints(repeats, "repeats"))


@operator("Concat")
def concat(node: Node, *values: Value) -> Value:
    return values[0] if len(values) == 1 else torch.cat(values, node.get("axis", 1))


@operator("Split")
def split(node: Node, x: Value, sizes: Value = None) -> Value:
    axis = node.get("axis", 0) % x.ndim
    given = node.get("split") if node.opset < 13 else None if sizes is None else node.ints(sizes, "split")
    if given is None:
        count = node.get("num_outputs") or len(node.outputs)
        each = -(-x.shape[axis] // count)
        given = [max(0, min(each, x.shape[axis] - each * at)) for at in range(count)]
    starts = [sum(given[:at]) for at in range(len(given))]
    return tuple(x.narrow(axis, start, count) for start, count in zip(starts, given, strict=True))


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Value) -> Value:
    size, (count, channels, height, width) = node.get("blocksize"), x.shape
    if node.get("mode", "DCR") == "CRD":
        return torch.nn.functional.pixel_shuffle(x, size)
    parted = x.reshape(count, size, size, channels // size**2, height, width)
    return parted.permute(0, 3, 4, 1, 5, 2).reshape(count, channels // size**2, height * size, width * size)


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Value) -> Value:
    size, (count, channels, height, width) = node.get("blocksize"), x.shape
    parted = x.reshape(count, channels, height // size, size, width // size, size)
    order = (0, 1, 3, 5, 2, 4) if node.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return parted.permute(order).reshape(count, channels * size**2, height // size, width // size)


@operator("CenterCropPad")
def center_crop_pad(node: Node, x: Value, shape: Value) -> Value:
    axes = [axis % x.ndim for axis in node.get("axes") or range(x.ndim)]
    for axis, wanted in zip(axes, node.ints(shape, "shape"), strict=True):
        extra = wanted - x.shape[axis]
        if extra < 0:
            x = x.narrow(axis, -extra // 2, wanted)
        elif extra > 0:
            around = [0, 0] * x.ndim
            around[2 * (x.ndim - 1 - axis)], around[2 * (x.ndim - 1 - axis) + 1] = extra // 2, extra - extra // 2
            x = torch.nn.functional.pad(x, around)
    return x


@operator("Col2Im")
def col_to_im(node: Node, x: Value, image: Value, block: Value) -> Value:
    shape, kernel = node.ints(image, "image_shape"), node.ints(block, "block_shape")
    rank = len(shape)
    dilations, strides = node.get("dilations") or [1] * rank, node.get("strides") or [1] * rank
    pads = node.get("pads") or [0] * 2 * rank
    whole = [size + pads[at] + pads[at + rank] for at, size in enumerate(shape)]
    count, channels = x.shape[0], x.shape[1] // math.prod(kernel)
    # Where each number of each block goes, in an image that has its pads around it.
    positions = torch.zeros((), dtype=torch.int64)
    for at in range(rank):
        steps = (whole[at] - dilations[at] * (kernel[at] - 1) - 1) // strides[at] + 1
        rows = torch.arange(kernel[at])[:, None] * dilations[at] + torch.arange(steps)[None] * strides[at]
        view = [1] * (2 * rank)
        view[at], view[rank + at] = kernel[at], steps
        positions = positions * whole[at] + rows.reshape(view)
    flat = positions.reshape(-1)
    image_ = torch.zeros(count, channels, math.prod(whole), dtype=x.dtype)
    summed = torch.index_add(image_, 2, flat, x.reshape(count, channels, -1)).reshape(count, channels, *whole)
    for at, size in enumerate(shape):
        summed = summed.narrow(2 + at, pads[at], size)
    return summed
