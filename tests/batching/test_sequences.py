"""Sequences of different length: what each gives is what it gives alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgekit.batching import Sequences
from edgekit.errors import UsageError


@pytest.fixture(scope="module")
def sequences() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(length, 6) for length in [*torch.randint(1, 30, (25,)).tolist(), 1, 30, 30]]


RECURRENT: dict[str, tuple[type[nn.RNNBase], dict[str, Any]]] = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {"num_layers": 2}),
    "rnn": (nn.RNN, {}),
    "projected": (nn.LSTM, {"proj_size": 3}),
    "both ways": (nn.LSTM, {"bidirectional": True, "num_layers": 2}),
    "gru both ways": (nn.GRU, {"bidirectional": True}),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(name: str, sequences: list[torch.Tensor]) -> None:
    kind, options = RECURRENT[name]
    torch.manual_seed(1)
    module = kind(6, 8, batch_first=True, **options)
    expected = [module(sequence[None])[0][0] for sequence in sequences]
    weights = [torch.randn_like(row) for row in expected]
    gradients = torch.autograd.grad(
        sum((row * weight).sum() for row, weight in zip(expected, weights, strict=True)), list(module.parameters())
    )
    found = Sequences(module)(sequences)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    total = sum((row * weight).sum() for row, weight in zip(found, weights, strict=True))
    for own, other in zip(torch.autograd.grad(total, list(module.parameters())), gradients, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)
    last = Sequences(module, outputs="last")(sequences)
    torch.testing.assert_close(last, torch.stack([row[-1] for row in expected]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells(kind: type[nn.RNNCellBase], sequences: list[torch.Tensor]) -> None:
    torch.manual_seed(1)
    cell = kind(6, 8)

    def alone(sequence: torch.Tensor) -> torch.Tensor:
        state, rows = None, []
        for step in sequence:
            state = cell(step[None], state)
            rows.append(state[0] if isinstance(state, tuple) else state)
        return torch.cat(rows)

    expected = [alone(sequence) for sequence in sequences]
    for one, other in zip(Sequences(cell)(sequences), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    last = Sequences(cell, outputs="last")(sequences)
    torch.testing.assert_close(last, torch.stack([row[-1] for row in expected]), rtol=0, atol=1e-5)


def test_any_other_module_sees_no_padding(sequences: list[torch.Tensor]) -> None:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, dropout=0.0)
    calls = list[torch.Size]()
    layer.register_forward_pre_hook(lambda _, arguments: calls.append(arguments[0].shape))
    expected = [layer(sequence[None])[0] for sequence in sequences]
    calls.clear()
    for one, other in zip(Sequences(layer)(sequences), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert len(calls) == len({len(sequence) for sequence in sequences})


def test_functions_and_sequences_of_numbers() -> None:
    means = Sequences(lambda batch: batch.float().mean(1))(
        [torch.tensor([1, 2, 3]), torch.tensor([5]), torch.tensor([8])]
    )
    assert [mean.item() for mean in means] == [2, 5, 8]


LSTM = nn.LSTM(6, 8, batch_first=True)


@pytest.mark.parametrize(
    ("module", "given", "message"),
    [
        (LSTM, [], "no sequences"),
        (LSTM, [torch.zeros(2, 6), torch.zeros(0, 6)], "sequence 1 has no steps"),
        (LSTM, [torch.tensor(3.0)], "sequence 0 has no steps"),
        (
            LSTM,
            [torch.zeros(2, 6), torch.zeros(2, 5)],
            r"sequence 1 is float32\[length, 5\], sequence 0 is float32\[length, 6\]",
        ),
        (LSTM, [torch.zeros(2, 6), torch.zeros(2, 6).double()], "sequence 1 is float64"),
        (torch.sum, [torch.zeros(2, 6)], r"gave \[\] for 1 sequences"),
    ],
)
def test_what_does_not_fit_is_refused(module: Any, given: list[torch.Tensor], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sequences(module)(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.LSTM(6, 8), "all"), "steps first"),
        ((LSTM, "first"), "outputs is 'first'"),
        ((nn.Identity(), "last"), "recurrent layers"),
    ],
)
def test_modules_that_cannot_be_asked_so_are_refused(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sequences(arguments[0], outputs=arguments[1])
