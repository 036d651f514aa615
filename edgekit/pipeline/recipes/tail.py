"""The tail of a graph: what joins its outputs from parts, with everything light in front of it.

One int8 tensor has one scale. Boxes in pixels and scores between 0 and 1 that are joined in int8 share it, and every
score becomes 0. So the tail is computed in float: each part keeps the scale of the convolution or linear layer that it
is from, and a sigmoid or an exponential between the two has no steps of its own. That costs next to nothing: the values
have to become float on their way out in any case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

#: ``join`` puts tensors together, ``layout`` only rearranges one, ``elementwise`` computes value by value.
Kind = Literal["join", "layout", "elementwise"]


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        kind: None for any other kind of work.
        inputs, outputs: The tensors that it reads, constants left out or not, and those that it writes.
    """

    kind: Kind | None
    inputs: tuple[Hashable, ...]
    outputs: tuple[Hashable, ...]


def tail(operators: Sequence[Operator], outputs: Collection[Hashable]) -> list[int]:
    """Places among *operators* of those in the tail; none where no output is joined from parts.

    Args:
        operators: In order of execution.
        outputs: The graph's output tensors.
    """
    joined: set[Hashable] = set()
    readers: dict[Hashable, list[int]] = defaultdict(list)
    for index, operator in enumerate(operators):
        if operator.kind == "join" or (operator.kind is not None and joined.intersection(operator.inputs)):
            joined.update(operator.outputs)
        for tensor in operator.inputs:
            readers[tensor].append(index)
    found: set[int] = set()

    def ends_there(tensor: Hashable) -> bool:
        """Whether *tensor* goes nowhere but into the tail and out of the graph."""
        if tensor in outputs and tensor not in joined:
            return False
        return (tensor in outputs or bool(readers[tensor])) and found.issuperset(readers[tensor])

    for index in reversed(range(len(operators))):
        if operators[index].kind is not None and all(map(ends_there, operators[index].outputs)):
            found.add(index)
    return sorted(found)
