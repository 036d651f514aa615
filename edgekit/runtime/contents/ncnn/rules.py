"""A layer of ncnn's, and what the rules for its kinds share: the shapes that it gives, and the weights that it reads.

Shapes are without an axis for samples, outermost axis first; ncnn's own names of axes, from the innermost: ``w``,
``h``, ``d``, ``c``. Numbers of layers are those of
https://github.com/Tencent/ncnn/wiki/operation-param-weight-table; what a layer is given besides is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.contents.sizes import MAX_MEMORY_BYTES

Shape = tuple[int, ...]

#: In the place of a number: none is given.
NONE = -233
#: Numbers of layers that a window, a pad or a count of outputs can be.
MOST, MOST_OUTPUTS = 1 << 12, 1 << 24
MOST_WHOLE = (1 << 31) - 1


@dataclass(frozen=True)
class Layer:
    """One layer of the text.

    Attributes:
        inputs, outputs: Names of blobs.
        numbers: Options by key, as they are written; several for those that are *arrays*.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: Mapping[int, tuple[str, ...]]
    arrays: frozenset[int] = frozenset()


class Weight(NamedTuple):
    """Weights that a layer reads; *typed* ones say their type, others are float32."""

    shape: Shape
    typed: bool = False


Result = tuple[list[Shape], list[Weight]]
Rule = Callable[["Numbers", Sequence[Shape], int], Result]


class Numbers:
    """A layer's options: each is read once, within its bounds."""

    def __init__(self, layer: Layer):
        self.type = layer.type
        self._layer = layer
        self._left = set(layer.numbers)

    def whole(self, key: int, default: int = 0, least: int = 0, most: int = MOST) -> int:
        """The whole number *key*.

        Raises:
            Malformed: It is outside of its bounds.
        """
        values = self._take(key)
        number = default if values is None else int(values[0])
        if values is not None and number != default and not least <= number <= most:
            raise Malformed(f"its number {key} is {number}")
        return number

    def flag(self, key: int, default: int = 0) -> bool:
        return self.whole(key, default, most=1) == 1

    def factor(self, key: int) -> float:
        """The factor *key* of a size, 1 where there is none."""
        values = self._take(key)
        factor = 1.0 if values is None else float(values[0])
        require(0 < factor <= MOST, f"its number {key} is {factor:g}")
        return factor

    def real(self, *keys: int) -> None:
        """The numbers *keys* may be any."""
        for key in keys:
            self._take(key)

    def array(self, key: int) -> tuple[int, ...]:
        """The whole numbers *key*; empty where there are none."""
        values = self._take(key, is_array=True)
        return () if values is None else tuple(map(int, values))

    def reals(self, key: int) -> int:
        """How many numbers of any kind *key* has."""
        return len(self._take(key, is_array=True) or ())

    def text(self, key: int) -> str:
        """The text *key*; empty where there is none."""
        values = self._take(key, is_text=True)
        return "" if values is None else values[0].strip('"')

    def check_all_read(self) -> None:
        if self._left:
            raise Malformed(f"it has the number {min(self._left)}, which is not known")

    def _take(self, key: int, is_array: bool = False, is_text: bool = False) -> tuple[str, ...] | None:
        if key not in self._layer.numbers:
            return None
        self._left.discard(key)
        values = self._layer.numbers[key]
        if (key in self._layer.arrays, '"' in "".join(values)) != (is_array, is_text):
            raise Malformed(f"its number {key} is of another kind")
        return values


class Rules(dict[str, Rule]):
    """What layers give and read, by their types."""

    def of(self, *types: str) -> Callable[[Rule], Rule]:
        """Add the function below, which takes a layer's options, its inputs, and how many outputs it has."""

        def add(rule: Rule) -> Rule:
            self.update(dict.fromkeys(types, rule))
            return rule

        return add


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Malformed(what)


def one(inputs: Sequence[Shape], *dims: int) -> Shape:
    """The only input, which has so many axes."""
    (shape,) = inputs
    require(not dims or len(shape) in dims, f"its input has {len(shape)} axes")
    return shape


def axis_of(axis: int, dims: int) -> int:
    require(-dims <= axis < dims, f"it has the axis {axis} of {dims}")
    return axis % dims


def window(size: int, kernel: int, stride: int, pads: int, dilation: int = 1) -> int:
    """Places of a window."""
    reach = dilation * (kernel - 1) + 1
    require(size + pads >= reach, "its window is larger than its input")
    return (size + pads - reach) // stride + 1


def fits(*sizes: int) -> None:
    """Values that a layer takes while it runs are no more than any honest one's."""
    taken = 4 * math.prod(sizes)
    require(taken <= MAX_MEMORY_BYTES, f"it would take {taken >> 20:,} MB to run")


def activation(numbers: Numbers) -> None:
    """What a layer does at its end: which, and with how many numbers."""
    wanted = {0: 0, 1: 0, 2: 1, 3: 2, 4: 0, 5: 0, 6: 2}[numbers.whole(9, most=6)]
    require(numbers.reals(10) >= wanted, "its activation lacks numbers")
