"""Recurrent layers, and what runs a layer at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch
from torch import nn

from edgekit.pipeline.sources.keras_to_torch.builder import Builder, NoEquivalent, Value, handles
from edgekit.pipeline.sources.keras_to_torch.windows import filled, numbers


class Recurrent(nn.Module):
    """A recurrent layer of PyTorch, from and to what Keras' takes and gives.

    ``forward`` takes a sequence ``[N, T, C]`` and the states to begin with, ``[N, H]`` each, or none, which are zeros.
    It gives all outputs ``[N, T, H]``, the last one, and the states to go on with.
    """

    def __init__(self, recurrent: nn.Module, backwards: bool):
        super().__init__()
        self.recurrent = recurrent
        self._backwards = backwards

    def forward(self, sequence: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self._backwards:
            sequence = sequence.flip(1)
        begin = tuple(state.unsqueeze(0) for state in states)
        outputs, last = self.recurrent(sequence, *([begin if len(begin) > 1 else begin[0]] if begin else []))
        states = tuple(state.squeeze(0) for state in (last if isinstance(last, tuple) else (last,)))
        return (outputs, states[0], *states)


@handles(keras.layers.LSTM)
def _lstm(build: Builder, layer: Any, sequence: Value, *states: Any, initial_state: Any = ()) -> Any:
    _check(layer, keras.activations.sigmoid)
    return _recurrent(build, layer, nn.LSTM, lambda values: values, sequence, [*states, *_listed(initial_state)])


@handles(keras.layers.GRU)
def _gru(build: Builder, layer: Any, sequence: Value, *states: Any, initial_state: Any = ()) -> Any:
    _check(layer, keras.activations.sigmoid)
    if not layer.reset_after:
        raise NoEquivalent("reset_after=False")

    def reset_first(values: torch.Tensor) -> torch.Tensor:
        update, reset, new = values.chunk(3, -1)
        return torch.cat([reset, update, new], -1)

    return _recurrent(build, layer, nn.GRU, reset_first, sequence, [*states, *_listed(initial_state)])


@handles(keras.layers.SimpleRNN)
def _simple(build: Builder, layer: Any, sequence: Value, *states: Any, initial_state: Any = ()) -> Any:
    _check(layer)
    return _recurrent(build, layer, nn.RNN, lambda values: values, sequence, [*states, *_listed(initial_state)])


def _check(layer: Any, gate: Callable[..., Any] | None = None) -> None:
    """Raise `NoEquivalent` for activations that PyTorch's layers do not have."""
    if layer.activation is not keras.activations.tanh or (gate and layer.recurrent_activation is not gate):
        raise NoEquivalent("other activations than tanh and sigmoid")


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _recurrent(
    build: Builder,
    layer: Any,
    kind: type[nn.Module],
    ordered: Callable[[torch.Tensor], torch.Tensor],
    sequence: Value,
    states: Sequence[Value],
) -> Any:
    """*sequence* through *layer* as one of *kind*, whose gates are *ordered*."""
    cell = layer.cell
    kernel, hidden = ordered(numbers(cell.kernel)).T, ordered(numbers(cell.recurrent_kernel)).T
    biases = {}
    if cell.use_bias:
        bias = ordered(numbers(cell.bias))
        # Two of them only where Keras has two.
        of_input, of_hidden = bias if bias.ndim == 2 else (bias, torch.zeros_like(bias))
        biases = {"bias_ih_l0": of_input, "bias_hh_l0": of_hidden}

    def make() -> nn.Module:
        made = kind(kernel.shape[1], layer.units, bias=cell.use_bias, batch_first=True)
        return Recurrent(filled(made, weight_ih_l0=kernel, weight_hh_l0=hidden, **biases), layer.go_backwards)

    outputs, last, *after = build.modules(layer, "", make, [sequence, *states])
    returned = outputs if layer.return_sequences else last
    return (returned, *after) if layer.return_state else returned


_MERGED: dict[str, Callable[..., Any]] = {"sum": torch.add, "ave": torch.add, "mul": torch.mul}


@handles(keras.layers.Bidirectional)
def _bidirectional(build: Builder, layer: Any, sequence: Value, initial_state: Sequence[Value] = ()) -> Any:
    half = len(initial_state) // 2
    begin = [list(initial_state[:half]), list(initial_state[half:])]
    sides = [
        build.call(each, sequence, **({"initial_state": states} if states else {}))
        for each, states in zip((layer.forward_layer, layer.backward_layer), begin, strict=True)
    ]
    states = tuple(state for side in sides for state in side[1:]) if layer.return_state else ()
    there, back = (side[0] if layer.return_state else side for side in sides)
    if layer.return_sequences:
        back = build.function(torch.flip, back, (1,), like=back)
    if layer.merge_mode is None:
        return (there, back, *states)
    if layer.merge_mode == "concat":
        merged = build.function(torch.cat, [there, back], -1, like=there)
    else:
        merged = build.function(_MERGED[layer.merge_mode], there, back, like=there)
    if layer.merge_mode == "ave":
        merged = build.function(torch.mul, merged, 0.5, like=merged)
    return (merged, *states) if states else merged


@handles(keras.layers.TimeDistributed)
def _time_distributed(build: Builder, layer: Any, x: Value) -> Value:
    """The steps are samples to the layer within."""
    x = build.channels_last(x)
    steps, *rest = x.sample.shape[1:]
    inner = build.function(torch.reshape, x, (-1, *rest), like=x)
    y = build.channels_last(build.call(layer.layer, Value(inner.node, inner.sample, x.rank - 1)))
    outer = build.function(torch.reshape, y, (-1, steps, *y.sample.shape[1:]), like=y)
    return Value(outer.node, outer.sample, y.rank + 1)


@handles(keras.layers.RepeatVector)
def _repeat_vector(build: Builder, layer: Any, x: Value) -> Value:
    count = layer.n
    repeated = build.function(torch.Tensor.repeat, build.reshape(x, (1, x.sample.shape[1])), (1, count, 1), like=x)
    return Value(repeated.node, repeated.sample, 3)
