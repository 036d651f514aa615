"""Einstein sums, two factors at a time, diagonals and windows.

litert-torch 0.10.0 gets the order of axes wrong where factors share two of them, and between three factors (symptom:
-1 dB for ``bnct,cw,wvt->bnv``), does not convert a diagonal ("failed to legalize operation 'tfl.equal'"), nor windows
along one of four axes ("'tfl.pad' op failed to verify that operand 0 is at most 5-D").
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

_ATEN = torch.ops.aten


def _einsum(equation: str, tensors: Sequence[torch.Tensor], *, path: Any = None) -> Any:
    terms, result = _spelled(equation, [each.dim() for each in tensors])
    apart = all(len(set(term)) == len(term) for term in terms)
    if apart and (len(tensors) == 1 or (len(tensors) == 2 and len(set(terms[0]) & set(terms[1]) - set(result)) < 2)):
        return NotImplemented
    factors = [_without_repeats(*each) for each in zip(tensors, terms, strict=True)]
    value, term = factors[0]
    for number, (other, letters) in enumerate(factors[1:], 2):
        wanted = set(result).union(*(later for _, later in factors[number:]))
        kept = "".join(dict.fromkeys(letter for letter in term + letters if letter in wanted))
        value, term = _contracted(value, term, other, letters, kept), kept
    return value if term == result else torch.einsum(f"{term}->{result}", value)


def _contracted(left: torch.Tensor, one: str, right: torch.Tensor, other: str, kept: str) -> torch.Tensor:
    """The sum of products of *left* and *right*, with axes *one* and *other*, over all axes but *kept*, in that order.

    As a product of matrices with the axes in an order that is the same for both.
    """
    sizes = dict(zip(one, map(int, left.shape), strict=True))
    if any(sizes.get(letter, size) != size for letter, size in zip(other, map(int, right.shape), strict=True)):
        return torch.einsum(f"{one},{other}->{kept}", left, right)  # one of them is repeated along an axis
    sizes |= dict(zip(other, map(int, right.shape), strict=True))
    both = [letter for letter in one if letter in other]
    batch, summed = ([each for each in both if (each in kept) == wanted] for wanted in (True, False))
    rows, columns = ([each for each in kept if each in term and each not in both] for term in (one, other))
    first = _arranged(left, one, [batch, rows, summed], sizes)
    second = _arranged(right, other, [batch, summed, columns], sizes)
    found = (first @ second).reshape([sizes[each] for each in (*batch, *rows, *columns)])
    order = [*batch, *rows, *columns]
    return found.permute([order.index(each) for each in kept])


def _arranged(value: torch.Tensor, term: str, groups: Sequence[list[str]], sizes: Mapping[str, int]) -> torch.Tensor:
    """*value* with one axis for each of *groups* of letters; what is in none of them is added up."""
    wanted = [letter for group in groups for letter in group]
    if rest := [axis for axis, letter in enumerate(term) if letter not in wanted]:
        value, term = value.sum(rest), "".join(letter for letter in term if letter in wanted)
    value = value.permute([term.index(letter) for letter in wanted])
    return value.reshape([math.prod(sizes[letter] for letter in group) for group in groups])


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


def _windows(value: torch.Tensor, dim: int, size: int, step: int) -> torch.Tensor:
    """The new axis, over what is in a window, is the last one."""
    if value.dim() == 0:
        return value.reshape(1)
    axis, count = dim % value.dim(), (int(value.shape[dim]) - size) // step + 1
    if size == step:
        rows = value.narrow(axis, 0, count * size)
    else:
        positions = [begin * step + position for begin in range(count) for position in range(size)]
        rows = value.index_select(axis, torch.tensor(positions))
    return rows.unflatten(axis, (count, size)).movedim(axis + 1, -1)


LITERT: dict[Any, Callable[..., Any]] = {
    _ATEN.einsum.default: _einsum,
    _ATEN.diagonal.default: _diagonal,
    _ATEN.unfold.default: _windows,
}
