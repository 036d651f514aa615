"""Attention, and dense layers over several axes."""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import nn
from torch.nn import functional

from edgekit.pipeline.sources.keras_to_torch.builder import Builder, NoEquivalent, Value, handles
from edgekit.pipeline.sources.keras_to_torch.windows import filled, numbers


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of several heads, between linear layers.

    ``forward`` takes query ``[N, T, C]``, key and value ``[N, S, C]`` and gives ``[N, T, C]``, in a tuple.
    """

    def __init__(self, heads: int, parts: dict[str, nn.Linear], causal: bool):
        super().__init__()
        self.query, self.key, self.value, self.output = (parts[name] for name in ("query", "key", "value", "output"))
        self._heads, self._causal = heads, causal

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor]:
        heads = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        attended = functional.scaled_dot_product_attention(*heads, is_causal=self._causal)
        return (self.output(attended.transpose(1, 2).flatten(2)),)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2)


@handles(keras.layers.MultiHeadAttention)
def _multi_head_attention(
    build: Builder,
    layer: Any,
    query: Value,
    value: Value,
    key: Value | None = None,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> Value:
    if return_attention_scores or layer._use_gate or layer._sliding_window is not None:
        raise NoEquivalent("return_attention_scores, use_gate or sliding_window")
    if query.rank != 3 or tuple(layer._attention_axes) != (1,):
        raise NoEquivalent("other axes than one of time")
    parts = {name: _linear(getattr(layer, f"_{name}_dense"), leading=1) for name in ("query", "key", "value")}
    parts["output"] = _linear(layer._output_dense, leading=2)
    heads, part = layer._num_heads, "causal" if use_causal_mask else ""
    inputs = [query, value if key is None else key, value]
    (attended,) = build.modules(layer, part, lambda: MultiHeadAttention(heads, parts, use_causal_mask), inputs)
    return attended


def _linear(layer: Any, leading: int) -> nn.Linear:
    """A dense layer whose kernel takes its first *leading* axes together, and gives the others."""
    kernel = numbers(layer.kernel)
    kernel = kernel.flatten(leading).flatten(0, leading - 1)
    module = nn.Linear(*kernel.shape, bias=layer.bias is not None)
    bias = None if layer.bias is None else numbers(layer.bias).flatten()
    made: nn.Linear = filled(module, weight=kernel.T, bias=bias)
    return made
