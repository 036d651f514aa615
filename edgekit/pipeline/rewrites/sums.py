"""Einstein sums, two factors at a time, and diagonals.

litert-torch 0.10.0 gets the order of axes wrong between three factors (symptom: -1 dB for ``bnct,cw,wvt->bnv``) and
does not convert a diagonal ("failed to legalize operation 'tfl.equal'").
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import torch

_ATEN = torch.ops.aten


def _einsum(equation: str, tensors: Sequence[torch.Tensor], *, path: Any = None) -> Any:
    terms, result = _spelled(equation, [each.dim() for each in tensors])
    if len(tensors) < 3 and all(len(set(term)) == len(term) for term in terms):
        return NotImplemented
    factors = [_without_repeats(*each) for each in zip(tensors, terms, strict=True)]
    value, term = factors[0]
    for number, (other, letters) in enumerate(factors[1:], 2):
        wanted = set(result).union(*(later for _, later in factors[number:]))
        kept = "".join(dict.fromkeys(letter for letter in term + letters if letter in wanted))
        value, term = torch.einsum(f"{term},{letters}->{kept}", value, other), kept
    return value if term == result else torch.einsum(f"{term}->{result}", value)


def _spelled(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each factor, and of the result, with some for an ellipsis, too."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    most = max(
        (rank - len(part) + 3 for part, rank in zip(parts, ranks, strict=True) if "..." in part),
        default=0,
    )
    letters = "".join(free[:most])
    terms = [
        part.replace("...", letters[most - (rank - len(part) + 3) :]) for part, rank in zip(parts, ranks, strict=True)
    ]
    if arrow:
        return terms, right.replace("...", letters)
    named = "".join(parts).replace(".", "")
    return terms, letters + "".join(sorted(letter for letter in set(named) if named.count(letter) == 1))


def _without_repeats(value: torch.Tensor, term: str) -> tuple[torch.Tensor, str]:
    """*value* with one axis for each letter of *term*: a diagonal where there are two."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first, second = term.index(letter), term.rindex(letter)
            value = _diagonal(value, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return value, term


def _diagonal(value: torch.Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> torch.Tensor:
    """The new axis is the last one."""
    planes = value.movedim((dim1, dim2), (-2, -1))
    rows, columns = (int(size) for size in planes.shape[-2:])
    begin = max(0, -offset)
    positions = [row * columns + row + offset for row in range(begin, rows) if row + offset < columns]
    return planes.flatten(-2).index_select(-1, torch.tensor(positions, dtype=torch.int64))


LITERT: dict[Any, Callable[..., Any]] = {_ATEN.einsum.default: _einsum, _ATEN.diagonal.default: _diagonal}
