"""Values of a JAX program in PyTorch: tensors that may lie in another order, or be smaller, than the program says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from edgekit.errors import ConversionError

#: What a program has as a number: it takes the type of the tensor that it meets.
Number = float | int | bool


@dataclass
class Value:
    """A tensor, and how the program's own comes of it.

    Attributes:
        tensor: As it lies.
        shape: The program's shape; along an axis where *tensor* has 1, it has the same value everywhere.
        order: The program's axes are ``tensor.permute(order)``; None where they are *tensor*'s own.
        turned: *tensor* permuted, where that is kept, by the permutation.
    """

    tensor: torch.Tensor
    shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    turned: dict[tuple[int, ...], torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Value:
        return cls(tensor, tuple(tensor.shape))

    def whole(self) -> torch.Tensor:
        """The program's tensor."""
        own = self.tensor if self.order is None else self.tensor.permute(self.order)
        return own if tuple(own.shape) == self.shape else own.expand(self.shape)

    def laid(self, order: tuple[int, ...] | None) -> torch.Tensor:
        """The tensor whose permutation by *order* is the program's, as small as it is."""
        if self.order == order or self.tensor.ndim == 0:
            return self.tensor
        own = self.tensor if self.order is None else self.tensor.permute(self.order)
        return own if order is None else own.permute(inverse(order))

    def permuted(self, axes: Sequence[int]) -> torch.Tensor:
        """``whole().permute(axes)``, with as little turning as need be."""
        wanted = tuple(axes)
        if self.order is None and wanted in self.turned:
            return self.turned[wanted]
        if tuple(self.tensor.shape[axis] for axis in self.order or range(self.tensor.ndim)) != self.shape:
            return self.whole().permute(wanted)
        together = wanted if self.order is None else tuple(self.order[axis] for axis in wanted)
        return self.tensor if together == tuple(range(len(together))) else self.tensor.permute(together)


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes *order*."""
    return tuple(sorted(range(len(order)), key=lambda position: order[position]))


def dtype_of(dtype: Any) -> torch.dtype:
    """PyTorch's type for numpy's."""
    found: torch.dtype = getattr(torch, str(dtype))
    return found


#: What a primitive gives.
Results = Sequence[Value | torch.Tensor]


def unsupported(what: str) -> ConversionError:
    """The error for what PyTorch has no equivalent of, or none is written yet."""
    hint = "build --format tflite, which has another way, or write that part of the function otherwise"
    return ConversionError("EK-UNSUPPORTED", f"JAX's {what} has no equivalent in PyTorch here", hint)


def as_type(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """*tensor* as *dtype*; itself where it is that already, so that no operator is left for it."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)
