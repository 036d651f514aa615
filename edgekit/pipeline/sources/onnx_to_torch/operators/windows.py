"""Where the windows of convolutions and pools lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value


@dataclass(frozen=True)
class Windows:
    """Of one operator, a number for each spatial axis.

    Attributes:
        before, after: Pads.
        beyond: What the last window reaches past the pads, with ``ceil_mode``.
        counts: How many windows there are.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    beyond: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def even(self) -> bool:
        """Whether pads are the same on both sides, and windows stay within them."""
        return self.before == self.after and not any(self.beyond) and min(self.before) >= 0

    @property
    def around(self) -> list[int]:
        """The pads as `torch.nn.functional.pad` takes them, with what lies beyond."""
        return around(self.before, [one + more for one, more in zip(self.after, self.beyond, strict=True)])


def around(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Pads as `torch.nn.functional.pad` takes them: the last axis first."""
    return [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]


def windows(node: Node, x: Value, kernel: Sequence[int], pool: bool = False) -> Windows:
    """The windows of *node* over *x*: [batch, channels, …].

    Of a *pool* with ``SAME_UPPER`` or ``SAME_LOWER``, what runtimes make different things of is refused.
    """
    rank = len(kernel)
    if rank > 3 or not rank:
        node.refuse(f"has {rank} spatial axes: PyTorch has convolutions and pools for one to three")
    if x.ndim != rank + 2:
        node.refuse(f"is given {list(x.shape)}, which does not have {rank} spatial axes")
    strides = tuple(node.get("strides") or [1] * rank)
    dilations = tuple(node.get("dilations") or [1] * rank)
    pads = node.get("pads") or [0] * 2 * rank
    before, after, beyond, counts = list(pads[:rank]), list(pads[rank:]), [0] * rank, [0] * rank
    mode = node.get("auto_pad", "NOTSET")
    for at, size in enumerate(x.shape[2:]):
        reach = dilations[at] * (kernel[at] - 1) + 1
        if mode == "VALID":
            before[at] = after[at] = 0
        elif mode.startswith("SAME"):
            total = (-(-size // strides[at]) - 1) * strides[at] + reach - size
            if pool and (dilations[at] != 1 or total < -1):
                node.refuse(
                    f"has auto_pad {mode} with strides or dilations beyond its kernel: runtimes differ in what that is",
                    "export the model with pads as numbers",
                )
            total = max(0, total)
            before[at], after[at] = total // 2, total - total // 2
            if mode == "SAME_LOWER":
                before[at], after[at] = after[at], before[at]
        padded = size + before[at] + after[at]
        counts[at] = (padded - reach) // strides[at] + 1
        if node.get("ceil_mode", 0):
            counts[at] = -(-(padded - reach) // strides[at]) + 1
            if (counts[at] - 1) * strides[at] >= size + before[at]:  # it would see nothing but what is beyond
                counts[at] -= 1
            beyond[at] = max(0, (counts[at] - 1) * strides[at] + reach - padded)
    return Windows(tuple(kernel), strides, dilations, tuple(before), tuple(after), tuple(beyond), tuple(counts))


def padded(x: Value, windows: Windows, value: float = 0.0) -> Value:
    """*x* with *value* wherever a window reaches that *x* does not."""
    return F.pad(x, windows.around, value=value) if any(windows.around) else x


def one_for_each(numbers: torch.Tensor, rank: int) -> torch.Tensor:
    """Numbers by channel, with axes for the counts."""
    return numbers.reshape(-1, *[1] * rank)
