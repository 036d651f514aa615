"""Which array of the data goes into which input of a model: by name, or by position where that is beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgekit.errors import UsageError
from edgekit.tensors import TensorSpec

_NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class Parameters:
    """What a model says of its inputs.

    Attributes:
        names: In order.
        required: Those it cannot do without; None for all of them.
        more_by_position, more_by_name: Whether it takes any number besides, as ``*args`` or ``**kwargs`` do.
    """

    names: tuple[str, ...]
    required: tuple[str, ...] | None = None
    more_by_position: bool = False
    more_by_name: bool = False

    def __str__(self) -> str:
        needed = self.names if self.required is None else self.required
        shown = [name if name in needed else f"{name} (optional)" for name in self.names]
        shown += ["*args"] * self.more_by_position + ["**kwargs"] * self.more_by_name
        return ", ".join(shown) or "nothing"


@dataclass(frozen=True)
class Target:
    """An input of the model: its position, and its name where it has one."""

    position: int
    name: str | None


def match(given: Sequence[str], model: Parameters, what: str) -> tuple[Target, ...]:
    """The input of the model that each array goes to.

    All names match, or none does. Then a single array goes into the first input, and several go by the numbers in their
    names (``arr_0``, ``arr_1``, as numpy.savez calls arrays without a name). Any other guess could swap two inputs of
    one shape without a word.

    Args:
        given: The data's names of the arrays.
        what: How a message calls the model.

    Raises:
        UsageError: ``EK-DATA``, with both lists.
    """
    required = set(model.names if model.required is None else model.required)
    known = {name: position for position, name in enumerate(model.names)}
    unknown = [name for name in given if name not in known]
    targets: tuple[Target, ...] | None = None
    if not unknown or (model.more_by_name and (len(given) > 1 or not model.names)):
        targets = tuple(Target(known.get(name, len(known) + at), name) for at, name in enumerate(given))
    elif len(unknown) == len(given):
        targets = _by_position(given, model)
    if targets is None or not required <= {target.name for target in targets}:
        hint = "call each array as the input it is for: numpy.savez(FILE, NAME=array, …), or a dict from data.py"
        if model.more_by_position and not model.names:
            hint = "number the arrays in their order, arr_0, arr_1, …, as numpy.savez(FILE, first, second) does"
        raise UsageError("EK-DATA", f"the data's inputs are {', '.join(given)}; {what} takes {model}", hint)
    return targets


def _by_position(given: Sequence[str], model: Parameters) -> tuple[Target, ...] | None:
    positions = [0] if len(given) == 1 else _numbers(given)
    if positions is None or (max(positions) >= len(model.names) and not model.more_by_position):
        return None
    return tuple(
        Target(position, model.names[position] if position < len(model.names) else None) for position in positions
    )


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The positions that *names* number, from 0: all of one stem, counted from 0 or 1 without a gap."""
    found = [_NUMBERED.fullmatch(name) for name in names]
    if not all(found) or len({each[1] for each in found if each}) > 1:
        return None
    numbers = [int(each[2]) for each in found if each]
    first = min(numbers)
    if first > 1 or sorted(numbers) != list(range(first, first + len(names))):
        return None
    return [number - first for number in numbers]


def match_file(
    own: Sequence[TensorSpec], given: Sequence[str], what: str
) -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """What goes into a model that says itself what it takes, and the data's name for each of it.

    Args:
        own: The model's inputs.
        given: The data's names, in any order; empty when there are no data yet.

    Returns:
        *own*, the only one under the data's name for it; and the data's names in the same order.

    Raises:
        UsageError: ``EK-DATA``, with both lists.
    """
    names = tuple(spec.name for spec in own)
    if not given:
        return tuple(own), names
    targets = match(given, Parameters(names), what)
    by_target = {target.name: name for target, name in zip(targets, given, strict=True)}
    if len(own) == 1:
        own = [replace(own[0], name=given[0])]
    return tuple(own), tuple(by_target[name] for name in names)
