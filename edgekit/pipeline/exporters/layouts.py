"""Channels second, as PyTorch has them, or last, as LiteRT's kernels want them: where litert-torch mixes them up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from litert_torch._convert.fx_passes.optimize_layout_transposes_pass import layout_check
from torch.fx import Node

_ATEN = torch.ops.aten
#: What has axes in its arguments that litert-torch 0.10.0 does not exchange.
_AS_IT_IS = {_ATEN.repeat.default, _ATEN._cdist_forward.default}
_INDEXING = {_ATEN.index.Tensor, _ATEN._unsafe_index.Tensor}
_CONVOLUTIONS = {_ATEN.conv2d.default, _ATEN.conv2d.padding, _ATEN.convolution.default}


@contextmanager
def sound_layouts() -> Iterator[None]:
    """Leave in PyTorch's layout what litert-torch 0.10.0 computes wrong in the other.

    Behind a convolution, it repeats along other axes, puts what several tensors index elsewhere, and measures distances
    between other rows. Symptom: other shapes, or other values of the same shape. It lays out weights that are computed
    at run time as if they were the convolution's input. Symptom: "weight of size [4, 3, 3, 6], expected input[1, 6, 8,
    8] to have 3 channels".
    """
    stock = layout_check.can_be_nhwc

    def sound(node: Node) -> bool:
        known = node.target in _AS_IT_IS or (node.target in _INDEXING and _several(node.args[1])) or _is_weight(node)
        return not known and bool(stock(node))

    with patch.object(layout_check, "can_be_nhwc", sound):
        yield


def _several(indices: Any) -> bool:
    return sum(each is not None for each in indices) > 1


def _is_weight(node: Node) -> bool:
    return any(user.target in _CONVOLUTIONS and user.args[1] is node for user in node.users)
