"""Images of another size: torch's own interpolation where it computes the same, else sums by constant weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator


@dataclass(frozen=True)
class _Axis:
    """How one axis is resized. *start* and *stop* are the part of it that is read, as a share of its size."""

    axis: int
    size: int
    wanted: int
    scale: float
    start: float = 0.0
    stop: float = 1.0


@operator("Upsample")
def upsample(node: Node, x: Value, scales: Value = None) -> Value:
    given = node.get("scales") if scales is None else node.constant(scales, "scales").tolist()
    axes = [_Axis(at, x.shape[at], int(x.shape[at] * scale), scale) for at, scale in enumerate(given)]
    return _resized(node, x, [each for each in axes if each.wanted != each.size], "asymmetric", "simple")


@operator("Resize")
def resize(node: Node, x: Value, second: Value = None, scales: Value = None, sizes: Value = None) -> Value:
    if node.opset < 11:
        axes = _axes(node, x, None, second, None)
        return _resized(node, x, axes, "asymmetric", "simple")
    mode = node.get("coordinate_transformation_mode", "half_pixel")
    axes = _axes(node, x, second if mode == "tf_crop_and_resize" else None, scales, sizes)
    return _resized(node, x, axes, mode, node.get("nearest_mode", "round_prefer_floor"))


def _axes(node: Node, x: Value, roi: Value, scales: Value, sizes: Value) -> list[_Axis]:
    """The axes that change."""
    along = [axis % x.ndim for axis in node.get("axes") or range(x.ndim)]
    part = [0.0] * len(along) + [1.0] * len(along) if roi is None else node.constant(roi, "roi").tolist()
    if scales is not None and scales.numel():
        factors = [float(each) for each in node.constant(scales, "scales").tolist()]
        if node.get("coordinate_transformation_mode") == "align_corners" and any(
            (x.shape[axis] * factor) % 1 for axis, factor in zip(along, factors, strict=True)
        ):
            node.refuse(
                f"aligns corners with scales of {factors} that give no whole size: runtimes differ in what that is",
                "export the model with sizes, or with scales that fit",
            )
        if any(part[at] or part[at + len(along)] != 1 for at in range(len(along))):
            node.refuse(
                "takes a part of the image by scales, of which runtimes make different sizes",
                "export the model with sizes",
            )
        wanted = [math.floor(x.shape[axis] * factor) for axis, factor in zip(along, factors, strict=True)]
    else:
        wanted = node.ints(sizes, "sizes")
        factors = [size / x.shape[axis] for axis, size in zip(along, wanted, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factor = (min if policy == "not_larger" else max)(factors)
            factors = [factor] * len(along)
            wanted = [math.floor(x.shape[axis] * factor + 0.5) for axis in along]
    return [
        _Axis(axis, x.shape[axis], wanted[at], factors[at], part[at], part[at + len(along)])
        for at, axis in enumerate(along)
        if wanted[at] != x.shape[axis] or (part[at], part[at + len(along)]) != (0.0, 1.0) or factors[at] != 1.0
    ]


def _resized(node: Node, x: Value, axes: Sequence[_Axis], mode: str, rounding: str) -> Value:
    if not axes:
        return x
    if mode == "tf_crop_and_resize" and node.get("mode") == "cubic" and node.get("exclude_outside", 0):
        node.refuse("takes a part of the image by cubic sums that leave out what is outside")
    if mode == "tf_crop_and_resize" and any(each.scale == 1.0 for each in axes):
        node.refuse("takes a part of the image and keeps its size, of which runtimes make different things")
    if node.get("antialias", 0) and mode not in ("half_pixel", "pytorch_half_pixel"):
        node.refuse(f"smooths what it shrinks by the coordinates {mode}: runtimes differ in what that is")
    if all(each.wanted == each.size for each in axes) and mode != "tf_crop_and_resize":
        node.refuse("has scales that leave all sizes as they are: runtimes differ in what that is")
    dtype = x.dtype
    source = x if x.is_floating_point() else x.to(torch.float32)
    exact = functools.partial(_by_weights, node, axes=axes, mode=mode, rounding=rounding)
    own = _own(node, source, axes, exact)
    result = exact(source) if own is None else own(source)
    if result.dtype == dtype:
        return result
    return torch.clamp(torch.round(result), torch.iinfo(dtype).min, torch.iinfo(dtype).max).to(dtype)


def _own(
    node: Node, x: Value, axes: Sequence[_Axis], exact: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[Value], Value] | None:
    """Torch's own interpolation that gives what *exact* does, if there is one."""
    spatial = x.ndim - 2
    names = {
        "nearest": {1: "nearest", 2: "nearest", 3: "nearest"},
        "linear": {1: "linear", 2: "bilinear", 3: "trilinear"},
        "cubic": {2: "bicubic"},
    }
    name = names[node.get("mode", "nearest")].get(spatial)
    if name is None or any(each.axis < 2 for each in axes):
        return None
    sizes, factors = list(x.shape[2:]), [1.0] * spatial
    for each in axes:
        sizes[each.axis - 2], factors[each.axis - 2] = each.wanted, each.scale
    random = torch.Generator().manual_seed(0)
    tried = torch.randn(1, 1, *x.shape[2:], generator=random)
    wanted = exact(tried)
    modes = ["nearest", "nearest-exact"] if name == "nearest" else [name]
    for mode in modes:
        for corners in [None] if name == "nearest" else [False, True]:
            for antialias in [True] if node.get("antialias", 0) else [False]:
                if antialias and name not in ("bilinear", "bicubic"):
                    continue
                for size, scale in ((sizes, None), (None, factors)):
                    if scale is not None and corners:
                        continue
                    call = functools.partial(
                        F.interpolate,
                        size=size,
                        scale_factor=scale,
                        mode=mode,
                        align_corners=corners,
                        antialias=antialias,
                    )
                    found = call(tried)
                    if found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-5, atol=1e-5):
                        return call
    return None


def _by_weights(node: Node, x: Value, axes: Sequence[_Axis], mode: str, rounding: str) -> Value:
    """One axis after the other."""
    outside = None
    for each in axes:
        positions = _positions(each, mode)
        if node.get("mode", "nearest") == "nearest":
            x = torch.index_select(x, each.axis, _rows(node, each, mode, rounding))
        else:
            table = torch.from_numpy(_weights(node, each, positions)).to(x.dtype)
            x = torch.matmul(x.transpose(each.axis, -1), table.T).transpose(each.axis, -1)
        if mode == "tf_crop_and_resize":
            view = [1] * x.ndim
            view[each.axis] = each.wanted
            beyond = torch.from_numpy((positions < 0) | (positions > each.size - 1)).reshape(view)
            outside = beyond if outside is None else outside | beyond
    if outside is not None and outside.any():
        x = torch.where(outside, torch.tensor(node.get("extrapolation_value", 0.0), dtype=x.dtype), x)
    return x


def _positions(each: _Axis, mode: str, number: Any = np.float32) -> np.ndarray:
    """Where in the given axis each position of the wanted one lies; in float32, as ONNX Runtime computes it."""
    to, scale, half = np.arange(each.wanted, dtype=number), number(each.scale), number(0.5)
    last = number(each.size - 1)
    if mode == "asymmetric":
        return to / scale
    if mode == "align_corners":
        return to * last / number(each.wanted - 1) if each.wanted > 1 else np.zeros_like(to)
    if mode == "tf_crop_and_resize":
        if each.wanted == 1:
            return np.array([half * number(each.start + each.stop) * last])
        return number(each.start) * last + to * (number(each.stop - each.start) * last / number(each.wanted - 1))
    if mode == "pytorch_half_pixel" and each.wanted == 1:
        return np.zeros_like(to)
    if mode == "half_pixel_symmetric":
        centre = number(each.size) * half * (1 - number(each.wanted) / (number(each.size) * scale))
        return centre + (to + half) / scale - half
    return (to + half) / scale - half


def _rows(node: Node, each: _Axis, mode: str, rounding: str) -> torch.Tensor:
    """Of each position of the wanted axis, the position in the given one that is nearest."""
    rows, exact = (
        np.clip(_nearest(_positions(each, mode, number), rounding, each.scale), 0, each.size - 1)
        for number in (np.float32, np.float64)
    )
    moved = (
        np.clip(_nearest(_positions(each, mode) + by, rounding, each.scale), 0, each.size - 1) for by in (-1e-4, 1e-4)
    )
    tied = mode == "half_pixel_symmetric" and any((rows != other).any() for other in moved)
    if tied or (rows != exact).any():
        node.refuse(
            f"takes the nearest of {each.size} pixels for {each.wanted}, where some lie in the middle: runtimes differ "
            "in which they take",
            "export the model with sizes that divide each other, or mode linear",
        )
    return torch.from_numpy(rows.astype(np.int64))


def _nearest(positions: np.ndarray, rounding: str, scale: float) -> np.ndarray:
    if rounding == "simple":
        return np.ceil(positions) if scale < 1 else np.trunc(positions)
    if rounding == "round_prefer_floor":
        return np.ceil(positions - 0.5)
    if rounding == "round_prefer_ceil":
        return np.floor(positions + 0.5)
    return np.ceil(positions) if rounding == "ceil" else np.floor(positions)


def _weights(node: Node, each: _Axis, positions: np.ndarray) -> np.ndarray:
    """[wanted, size]: how much of each number is in each of the wanted ones."""
    cubic, outside = node.get("mode") == "cubic", bool(node.get("exclude_outside", 0))
    coefficient = node.get("cubic_coeff_a", -0.75)
    shrunk = min(each.scale, 1.0) if node.get("antialias", 0) else 1.0
    reach = math.ceil((2 if cubic else 1) / shrunk) + 1
    table = np.zeros((each.wanted, each.size))
    for row, position in enumerate(positions):
        taps = np.arange(math.floor(position) - reach, math.floor(position) + reach + 1)
        distances = np.abs(taps - position) * shrunk
        weights = _cubic(distances, coefficient) if cubic else np.maximum(0, 1 - distances)
        if outside:
            weights = np.where((taps < 0) | (taps >= each.size), 0, weights)
        total = weights.sum()
        weights = weights / total if total else weights
        np.add.at(table[row], np.clip(taps, 0, each.size - 1), weights)
    return table


def _cubic(distances: np.ndarray, a: float) -> np.ndarray:
    near = ((a + 2) * distances - (a + 3)) * distances**2 + 1
    far = a * (((distances - 5) * distances + 8) * distances - 4)
    return np.where(distances <= 1, near, np.where(distances < 2, far, 0.0))
