"""Recurrent layers: as ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` where these compute the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.indexing import reversed_positions
from edgekit.pipeline.sources.onnx_to_torch.operators.shaping import one_more_axis

#: Of each kind: torch's class, where torch's gates stand among ONNX's, and ONNX's default activations.
_KINDS: dict[str, tuple[Any, tuple[int, ...], tuple[str, ...]]] = {
    "LSTM": (torch.nn.LSTM, (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh")),  # iofc -> ifco
    "GRU": (torch.nn.GRU, (1, 0, 2), ("Sigmoid", "Tanh")),  # zrh -> rzn
    "RNN": (torch.nn.RNN, (0,), ("Tanh",)),
}
_Function = Callable[[Value], Value]


@dataclass(frozen=True)
class _Layer:
    """One recurrent operator, its time first. A size for each axis in brackets.

    Attributes:
        x: [time, batch, input].
        weight, recurrence: [directions, gates x hidden, input or hidden].
        bias: [directions, 2 x gates x hidden]: of the input, then of the state; None for none.
        lengths: Of the sequences; None where all are full.
        state, cell: [directions, batch, hidden]; None for zeros.
        peephole: [directions, 3 x hidden], or None.
    """

    node: Node
    x: Value
    weight: Value
    recurrence: Value
    bias: Value
    lengths: list[int] | None
    state: Value
    cell: Value
    peephole: Value

    @property
    def hidden(self) -> int:
        return int(self.recurrence.shape[-1])

    @property
    def directions(self) -> int:
        return int(self.weight.shape[0])

    def activations(self) -> list[str]:
        given = self.node.get("activations") or list(_KINDS[self.node.op][2]) * self.directions
        return [each.title() if each.islower() else each for each in given]


@operator("LSTM", "GRU", "RNN")
def recurrent(
    node: Node,
    x: Value,
    weight: Value,
    recurrence: Value,
    bias: Value = None,
    lengths: Value = None,
    state: Value = None,
    cell: Value = None,
    peephole: Value = None,
) -> Value:
    batch_first = bool(node.get("layout", 0))
    if batch_first:
        x = x.transpose(0, 1)
        state, cell = (None if each is None else each.transpose(0, 1) for each in (state, cell))
    counted = None if lengths is None else node.ints(lengths, "sequence_lens")
    counted = None if counted is None or all(each == x.shape[0] for each in counted) else counted
    layer = _Layer(node, x, weight, recurrence, bias, counted, state, cell, peephole)
    results = _native(layer) if _is_native(layer) else _stepwise(layer)
    if not batch_first:
        return results
    every, *last = results
    return (every.permute(2, 0, 1, 3), *(each.transpose(0, 1) for each in last))


def _is_native(layer: _Layer) -> bool:
    """Whether torch has the layer, with weights that are known."""
    node = layer.node
    defaults = list(_KINDS[node.op][2]) * layer.directions
    activations = layer.activations()
    simple = activations == defaults or (node.op == "RNN" and activations == ["Relu"] * layer.directions)
    weights = (layer.weight, layer.recurrence, *([] if layer.bias is None else [layer.bias]))
    return (
        simple
        and not any(node.get(name) for name in ("clip", "input_forget"))
        and (node.op != "GRU" or bool(node.get("linear_before_reset", 0)))
        and layer.lengths is None
        and layer.peephole is None
        and layer.x.dtype == torch.float32
        and all(isinstance(each, torch.Tensor) for each in weights)
    )


def _native(layer: _Layer) -> tuple[Value, ...]:
    node, hidden = layer.node, layer.hidden
    kind, gates, _ = _KINDS[node.op]
    both = layer.directions == 2
    options = {"nonlinearity": "relu"} if node.op == "RNN" and layer.activations()[0] == "Relu" else {}
    module = kind(layer.weight.shape[-1], hidden, bias=layer.bias is not None, bidirectional=both, **options)

    def ordered(stored: torch.Tensor) -> torch.nn.Parameter:
        parts = stored.reshape(len(gates), hidden, -1)[list(gates)]
        return torch.nn.Parameter(parts.reshape(stored.shape).contiguous(), requires_grad=False)

    for at, suffix in enumerate(["", "_reverse"][: layer.directions]):
        setattr(module, f"weight_ih_l0{suffix}", ordered(layer.weight[at]))
        setattr(module, f"weight_hh_l0{suffix}", ordered(layer.recurrence[at]))
        if layer.bias is not None:
            of_input, of_state = layer.bias[at].chunk(2)
            setattr(module, f"bias_ih_l0{suffix}", ordered(of_input))
            setattr(module, f"bias_hh_l0{suffix}", ordered(of_state))
    backwards = node.get("direction", "forward") == "reverse"
    x = torch.flip(layer.x, [0]) if backwards else layer.x
    zeros = torch.zeros(layer.directions, x.shape[1], hidden)
    state, cell = (zeros if each is None else each for each in (layer.state, layer.cell))
    if layer.state is None and layer.cell is None:
        every, last = node.call(module, x)
    elif node.op == "LSTM":
        every, last = node.call(module, x, (state, cell))
    else:
        every, last = node.call(module, x, state)
    every = torch.flip(every, [0]) if backwards else every
    parted = every.reshape(*every.shape[:2], layer.directions, hidden)
    every = parted.permute(0, 2, 1, 3) if both else one_more_axis(every, 1)
    return (every, *last) if node.op == "LSTM" else (every, last)


def _stepwise(layer: _Layer) -> tuple[Value, ...]:
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    found = [
        _one_way(layer, at, backwards)
        for at, backwards in enumerate(directions[layer.node.get("direction", "forward")])
    ]
    every = torch.stack([each[0] for each in found], 1)
    return (every, *(torch.stack(list(parts), 0) for parts in zip(*(each[1:] for each in found), strict=True)))


def _one_way(layer: _Layer, at: int, backwards: bool) -> tuple[Value, ...]:
    """The states of all steps, [time, batch, hidden], and what is kept after the last one."""
    x, hidden, node = layer.x, layer.hidden, layer.node
    time, batch = x.shape[:2]
    lengths = torch.tensor(layer.lengths or [time] * batch)
    turned = reversed_positions(lengths.tolist(), time)[:, :, None]
    if backwards:
        x = torch.flip(x, [0]) if layer.lengths is None else torch.gather(x, 0, turned.expand(x.shape))
    functions = list(_functions(node, layer.activations()))
    own = len(functions) // layer.directions
    step = _STEPS[node.op](layer, at, functions[own * at : own * (at + 1)])
    gates = torch.matmul(x, layer.weight[at].transpose(0, 1))
    zeros = torch.zeros(batch, hidden, dtype=x.dtype)
    kept = [zeros if each is None else each[at] for each in (layer.state, layer.cell)]
    kept = kept if node.op == "LSTM" else kept[:1]
    states = []
    for now in range(time):
        found = step(gates[now], *kept)
        if layer.lengths is None:
            kept = list(found)
            states.append(kept[0])
            continue
        within = (now < lengths)[:, None]
        kept = [torch.where(within, new, old) for new, old in zip(found, kept, strict=True)]
        states.append(torch.where(within, found[0], zeros))
    every = torch.stack(states, 0)
    if backwards:
        every = torch.flip(every, [0]) if layer.lengths is None else torch.gather(every, 0, turned.expand(every.shape))
    return (every, *kept)


def _biases(layer: _Layer, at: int) -> tuple[Value, Value]:
    if layer.bias is None:
        zeros = torch.zeros(layer.weight.shape[1], dtype=layer.x.dtype)
        return zeros, zeros
    half = layer.weight.shape[1]
    return layer.bias[at][:half], layer.bias[at][half:]


def _clipped(node: Node) -> _Function:
    limit = node.get("clip")
    return (lambda x: torch.clamp(x, -limit, limit)) if limit else (lambda x: x)


def _rnn_step(layer: _Layer, at: int, functions: Sequence[_Function]) -> Callable[..., tuple[Value, ...]]:
    recurrence, clipped = layer.recurrence[at].transpose(0, 1), _clipped(layer.node)
    bias = sum(_biases(layer, at))

    def step(given: Value, state: Value) -> tuple[Value, ...]:
        return (functions[0](clipped(given + torch.matmul(state, recurrence) + bias)),)

    return step


def _gru_step(layer: _Layer, at: int, functions: Sequence[_Function]) -> Callable[..., tuple[Value, ...]]:
    hidden, clipped = layer.hidden, _clipped(layer.node)
    recurrence = layer.recurrence[at].transpose(0, 1)
    of_input, of_state = _biases(layer, at)
    first, second = functions
    both = 2 * hidden

    def step(given: Value, state: Value) -> tuple[Value, ...]:
        gates = given[:, :both] + torch.matmul(state, recurrence[:, :both]) + of_input[:both] + of_state[:both]
        update, reset = first(clipped(gates[:, :hidden])), first(clipped(gates[:, hidden:]))
        if layer.node.get("linear_before_reset", 0):
            new = given[:, both:] + of_input[both:]
            new = new + reset * (torch.matmul(state, recurrence[:, both:]) + of_state[both:])
        else:
            new = (
                given[:, both:] + torch.matmul(reset * state, recurrence[:, both:]) + of_state[both:] + of_input[both:]
            )
        return ((1 - update) * second(clipped(new)) + update * state,)

    return step


def _lstm_step(layer: _Layer, at: int, functions: Sequence[_Function]) -> Callable[..., tuple[Value, ...]]:
    hidden, clipped = layer.hidden, _clipped(layer.node)
    recurrence = layer.recurrence[at].transpose(0, 1)
    bias = sum(_biases(layer, at))
    first, second, third = functions
    peephole = [None] * 3 if layer.peephole is None else list(layer.peephole[at].reshape(3, hidden))
    coupled = layer.node.get("input_forget", 0)

    def through(gate: Value, cell: Value, weight: Value) -> Value:
        return first(clipped(gate if weight is None else gate + weight * cell))

    def step(given: Value, state: Value, cell: Value) -> tuple[Value, ...]:
        gates = given + torch.matmul(state, recurrence) + bias
        taken, out, kept, new = (gates[:, hidden * gate : hidden * (gate + 1)] for gate in range(4))
        taken = through(taken, cell, peephole[0])
        kept = 1 - taken if coupled else through(kept, cell, peephole[2])
        cell = kept * cell + taken * second(clipped(new))
        return through(out, cell, peephole[1]) * third(cell), cell

    return step


_STEPS: dict[str, Callable[..., Callable[..., tuple[Value, ...]]]] = {
    "RNN": _rnn_step,
    "GRU": _gru_step,
    "LSTM": _lstm_step,
}

#: Activations by name, with the defaults of what each takes of alpha and beta; None for none that runtimes agree on.
_ACTIVATIONS: dict[str, tuple[Callable[..., Value], tuple[float | None, ...]]] = {
    "Relu": (torch.relu, ()),
    "Tanh": (torch.tanh, ()),
    "Sigmoid": (torch.sigmoid, ()),
    "Softsign": (F.softsign, ()),
    "Softplus": (F.softplus, ()),
    "Affine": (lambda x, alpha, beta: alpha * x + beta, (None, None)),
    "LeakyRelu": (lambda x, alpha: F.leaky_relu(x, alpha), (0.01,)),
    "ThresholdedRelu": (lambda x, alpha: F.threshold(x, alpha, 0.0), (1.0,)),
    "ScaledTanh": (lambda x, alpha, beta: alpha * torch.tanh(beta * x), (None, None)),
    "HardSigmoid": (lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0.0, 1.0), (0.2, 0.5)),
    "Elu": (lambda x, alpha: F.elu(x, alpha), (1.0,)),
}


def _functions(node: Node, names: Sequence[str]) -> Iterator[_Function]:
    alphas, betas = iter(node.get("activation_alpha") or ()), iter(node.get("activation_beta") or ())
    for name in names:
        if name not in _ACTIVATIONS:
            node.refuse(f"has the activation {name}")
        function, defaults = _ACTIVATIONS[name]
        given = [next(source, default) for source, default in zip((alphas, betas), defaults, strict=False)]
        if None in given:
            node.refuse(f"has the activation {name} without its activation_alpha and activation_beta")
        yield lambda x, function=function, given=given: function(x, *given)  # type: ignore[misc]
