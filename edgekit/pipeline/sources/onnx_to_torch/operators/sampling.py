"""Reading images between their pixels."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator


@operator("GridSample")
@operator("GridSample", domain="com.microsoft")
def grid_sample(node: Node, x: Value, grid: Value) -> Value:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.get("mode", "linear"), node.get("mode", "linear"))
    if mode == "bicubic" and x.ndim != 4:
        node.refuse("samples volumes with cubic interpolation, which PyTorch does not")
    return F.grid_sample(
        x,
        grid,
        mode=mode,
        padding_mode=node.get("padding_mode", "zeros"),
        align_corners=bool(node.get("align_corners", 0)),
    )


@operator("AffineGrid")
def affine_grid(node: Node, theta: Value, size: Value) -> Value:
    return F.affine_grid(theta, node.ints(size, "size"), align_corners=bool(node.get("align_corners", 0)))


@operator("RoiAlign")
def roi_align(node: Node, x: Value, rois: Value, batches: Value) -> Value:
    """*rois* are [count, 4]: left, top, right, bottom."""
    height, width, taps = node.get("output_height", 1), node.get("output_width", 1), node.get("sampling_ratio", 0)
    half = node.opset >= 16 and node.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if not taps:
        known = node.constant(rois, "rois")
        node.constant(batches, "batch_indices")
        sides = (known[:, 2:] - known[:, :2]) * node.get("spatial_scale", 1.0)
        counts = torch.ceil(sides / torch.tensor([width, height]))
        if (counts != counts.reshape(-1)[0]).any():
            node.refuse("takes as many samples as each region is large", "give it a sampling_ratio")
        taps = max(1, int(counts.reshape(-1)[0]))
    corners = rois * node.get("spatial_scale", 1.0) - (0.5 if half else 0.0)
    begin, sides = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if not half:
        sides = torch.clamp(sides, min=1.0)
    across = _points(begin[:, 0], sides[:, 0], width, taps, x.shape[3])
    down = _points(begin[:, 1], sides[:, 1], height, taps, x.shape[2])
    images = torch.index_select(x, 0, batches.to(torch.int64).reshape(-1))
    grid = torch.stack(
        [
            across[:, None, :].expand(rois.shape[0], height * taps, width * taps),
            down[:, :, None].expand(rois.shape[0], height * taps, width * taps),
        ],
        -1,
    )
    if node.get("mode", "avg") == "max":
        return node.refuse("takes the largest of the weighted pixels, not of the samples")
    read = F.grid_sample(images, grid, padding_mode="border", align_corners=True)
    inside = _inside(across, x.shape[3])[:, None, None, :] & _inside(down, x.shape[2])[:, None, :, None]
    return F.avg_pool2d(torch.where(inside, read, torch.zeros((), dtype=x.dtype)), taps)


def _points(begin: Value, side: Value, positions: int, taps: int, size: int) -> Value:
    """[regions, positions x taps]: where samples are taken along one axis, from -1 to 1 over its pixels."""
    share = (torch.arange(positions * taps) + 0.5) / (positions * taps)
    points = begin[:, None] + side[:, None] * share[None]
    return points * (2 / max(size - 1, 1)) - 1


def _inside(points: Value, size: int) -> Value:
    """Whether samples are less than a pixel outside."""
    pixels = (points + 1) * (max(size - 1, 1) / 2)
    return (pixels >= -1) & (pixels <= size)


@operator("NonMaxSuppression")
def suppress(node: Node, *values: Value) -> Value:
    return node.refuse(
        "gives as many boxes as it finds: files have fixed shapes",
        "export the model without its last step, and choose boxes in the app",
    )
