"""Sequences of different length through one PyTorch module, together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils import rnn

from edgekit.batching.lengths import similar
from edgekit.errors import UsageError


class Sequences(nn.Module):
    """A module that takes sequences of different length, and gives for each what it would give for that one alone.

    How they are grouped follows from what is known of *module*, so that no padding reaches a result:

    - ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``: sequences of similar length are padded at their end, which steps before it
      do not see; those that run backwards, too, are packed.
    - ``nn.RNNCell``, ``nn.LSTMCell`` and ``nn.GRUCell``: one call for each step, of the sequences that are that long.
    - Any other module, or function, that takes ``[sequences, length, …]`` and gives one row for each sequence: one call
      for each length that occurs.

    Args:
        module: Recurrent layers have ``batch_first=True``.
        outputs: ``"all"``: what comes of each step; ``"last"``: of the last step alone, for recurrent layers and cells.
    """

    def __init__(self, module: Callable[..., Any], *, outputs: Literal["all", "last"] = "all"):
        super().__init__()
        self.module = module
        self._last = outputs == "last"
        if outputs not in ("all", "last"):
            raise UsageError("EK-ARGUMENT", f"outputs is {outputs!r}", 'it is "all" or "last"')
        if isinstance(module, nn.RNNBase):
            if not module.batch_first:
                what = f"{type(module).__name__} takes the steps first"
                raise UsageError("EK-ARGUMENT", what, "make it with batch_first=True")
            self._run: Callable[..., list[torch.Tensor] | torch.Tensor] = (
                self._packed if module.bidirectional else self._padded
            )
        elif isinstance(module, nn.RNNCellBase):
            self._run = self._stepwise
        elif self._last:
            raise UsageError("EK-ARGUMENT", 'outputs="last" is for recurrent layers and cells', "leave it out")
        else:
            self._run = self._each_length

    def forward(self, sequences: Sequence[torch.Tensor]) -> Any:
        """The results, in the order of *sequences*.

        Args:
            sequences: ``[length, …]`` each, all the same but for their length; at least one step long.

        Returns:
            A list, of ``[length, features]`` each for recurrent layers and cells; with ``outputs="last"`` a tensor
            ``[sequences, features]``.

        Raises:
            UsageError: ``EK-INPUT``: there is no sequence, one is empty, or they differ in more than their length.
        """
        if not len(sequences):
            raise UsageError("EK-INPUT", "there are no sequences", "give at least one")
        lengths = [len(sequence) if sequence.ndim else 0 for sequence in sequences]
        if not min(lengths):
            raise UsageError("EK-INPUT", f"sequence {lengths.index(0)} has no steps", "leave it out")
        first = sequences[0]
        for index, sequence in enumerate(sequences):
            if sequence.shape[1:] != first.shape[1:] or sequence.dtype != first.dtype:
                shown = (f"{str(each.dtype)[6:]}{['length', *each.shape[1:]]}" for each in (sequence, first))
                what = "sequence {} is {}, sequence 0 is {}".format(index, *shown).replace("'", "")
                raise UsageError("EK-INPUT", what, "they may differ in length alone")
        return self._run(sequences, lengths)

    def _padded(self, sequences: Sequence[torch.Tensor], lengths: list[int]) -> list[torch.Tensor] | torch.Tensor:
        results: list[Any] = [None] * len(sequences)
        groups = similar(lengths)
        rows = []
        for group in groups:
            padded = rnn.pad_sequence([sequences[index] for index in group], batch_first=True)
            output = self.module(padded)[0]
            if self._last:
                ends = torch.tensor([lengths[index] - 1 for index in group], device=output.device)
                rows.append(output[torch.arange(len(group), device=output.device), ends])
                continue
            for index, row in zip(group, output, strict=True):
                results[index] = row[: lengths[index]]
        return _in_order(rows, [index for group in groups for index in group]) if self._last else results

    def _packed(self, sequences: Sequence[torch.Tensor], lengths: list[int]) -> list[torch.Tensor] | torch.Tensor:
        packed = rnn.pack_sequence(list(sequences), enforce_sorted=False)
        results = rnn.unpack_sequence(self.module(packed)[0])
        return torch.stack([result[-1] for result in results]) if self._last else results

    def _stepwise(self, sequences: Sequence[torch.Tensor], lengths: list[int]) -> list[torch.Tensor] | torch.Tensor:
        packed = rnn.pack_sequence(list(sequences), enforce_sorted=False)
        state: Any = None
        steps, ended = [], []
        for step in packed.data.split(packed.batch_sizes.tolist()):
            if state is not None:
                ended.append(_first(state)[len(step) :])
                state = tuple(part[: len(step)] for part in state) if isinstance(state, tuple) else state[: len(step)]
            state = self.module(step, state)
            steps.append(_first(state))
        if self._last:  # the longest sequences are the first of each step, and the last to end
            last = torch.cat([*reversed([*ended, _first(state)])])
            return last.index_select(0, packed.unsorted_indices)
        return rnn.unpack_sequence(packed._replace(data=torch.cat(steps)))

    def _each_length(self, sequences: Sequence[torch.Tensor], lengths: list[int]) -> list[torch.Tensor]:
        results: list[Any] = [None] * len(sequences)
        for group in similar(lengths, padding=0.0):
            rows = self.module(torch.stack([sequences[index] for index in group]))
            if not isinstance(rows, torch.Tensor) or rows.shape[:1] != (len(group),):
                shown = list(rows.shape) if isinstance(rows, torch.Tensor) else f"a {type(rows).__name__}"
                what = f"the module gave {shown} for {len(group)} sequences"
                raise UsageError("EK-INPUT", what, "it gives a tensor with one row for each sequence")
            for index, row in zip(group, rows, strict=True):
                results[index] = row
        return results


def _first(state: Any) -> torch.Tensor:
    """What a cell gives out, of its state."""
    output: torch.Tensor = state[0] if isinstance(state, tuple) else state
    return output


def _in_order(rows: list[torch.Tensor], order: list[int]) -> torch.Tensor:
    joined = torch.cat(rows)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return joined.index_select(0, back.to(joined.device))
