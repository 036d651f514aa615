"""Where values come from, and layers that only bring them into another order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

from edgekit.runtime.contents.ncnn.rules import (
    MOST_OUTPUTS,
    MOST_WHOLE,
    NONE,
    Numbers,
    Result,
    Rules,
    Shape,
    Weight,
    axis_of,
    one,
    require,
)

RULES = Rules()


@RULES.of("Input")
def _input(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    require(not inputs, "it is an input, and has one")
    w, h, d, c = (numbers.whole(key, most=MOST_OUTPUTS) for key in (0, 1, 11, 2))
    sizes = [c, d, h, w] if d else [c, h, w]
    shape = tuple(size for size in sizes if size)
    require(shape == tuple(sizes[len(sizes) - len(shape) :]), "its shape has a gap")
    return [shape], []


@RULES.of("MemoryData")
def _memory_data(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    require(numbers.whole(21, 1, 1, 1) == 1, "it is of another type")
    (shape,), _ = _input(numbers, inputs, count)
    return [shape], [Weight(shape)]


@RULES.of("Split")
def _split(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    return [one(inputs)] * count, []


@RULES.of("Noop")
def _noop(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    require(len(inputs) >= 1, "it has no input")
    return list(inputs), []


@RULES.of("Reduction")
def _reduction(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs)
    numbers.whole(0, most=10)
    numbers.real(2)
    reduces_all, keeps = numbers.flag(1, 1), numbers.flag(4)
    axes = {axis_of(axis, len(shape)) for axis in numbers.array(3)}
    require(numbers.flag(5) or not axes, "it is of an older ncnn")
    gone = set(range(len(shape))) if reduces_all else axes
    if keeps:
        return [tuple(1 if axis in gone else size for axis, size in enumerate(shape))], []
    return [tuple(size for axis, size in enumerate(shape) if axis not in gone) or (1,)], []


@RULES.of("Concat")
def _concat(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    first = inputs[0]
    axis = axis_of(numbers.whole(0, least=-4, most=3), len(first))
    around = {(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}
    require(len(around) == 1 and len({len(shape) for shape in inputs}) == 1, "its inputs do not fit each other")
    return [(*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])], []


@RULES.of("Slice")
def _slice(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, sizes, indices = one(inputs), numbers.array(0), numbers.array(2)
    axis = axis_of(numbers.whole(1, least=-4, most=3), len(shape))
    whole = shape[axis]
    if indices:
        require(not sizes and len(indices) in (count - 1, count), f"it has {count} outputs")
        ends = [index + whole if index < 0 else index for index in indices[: count - 1]] + [whole]
        sizes = tuple(end - begin for begin, end in zip([0, *ends], ends, strict=False))
    require(len(sizes) == count, f"it has {count} outputs")
    left, found = whole, list[Shape]()
    for index, size in enumerate(sizes):
        size = left // (count - index) if size == NONE else size
        require(1 <= size <= left, "its parts are larger than its input")
        left -= size
        found.append((*shape[:axis], size, *shape[axis + 1 :]))
    return found, []


@RULES.of("Crop")
def _crop(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs)
    starts, ends, axes = (numbers.array(key) for key in (9, 10, 11))
    axes = axes or tuple(range(len(shape)))
    require(len(starts) == len(ends) == len(axes) >= 1 and len(axes) <= len(shape), "its bounds are not whole")
    made = list(shape)
    for start, end, axis in zip(starts, ends, axes, strict=True):
        axis = axis_of(axis, len(shape))
        size = shape[axis]
        start = 0 if start == NONE else start
        end = size if end == NONE else end
        begin, stop = start if start >= 0 else size + start, min(size, end if end > 0 else size + end)
        require(0 <= begin < stop, "it takes what is not there")
        made[axis] = stop - begin
    return [tuple(made)], []


@RULES.of("Reshape")
def _reshape(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, total = inputs[0], math.prod(inputs[0])
    given = [numbers.whole(key, NONE, -1, MOST_WHOLE) for key in (0, 1, 11, 2)]  # w, h, d, c
    made = [size for size in given if size != NONE]
    dims = 4 if given[2] != NONE else 3 if given[3] != NONE else len(made)
    require(len(made) == dims, "its shape has a gap")
    own = _sizes(shape)
    named = ("", "w", "wh", "whc", "whdc")[len(made)]
    made = [own[name] if size == 0 else size for name, size in zip(named, made, strict=True)]
    if expression := numbers.text(6):
        require(not made, "it gives its shape twice")
        made = [_size(word, inputs) for word in expression.split(",")]
    else:
        one(inputs)
    if -1 in made:
        rest = -math.prod(made)
        require(made.count(-1) == 1 and rest > 0 and total % rest == 0, "its shapes do not fit each other")
        made[made.index(-1)] = total // rest
    require(math.prod(made) == total, "its shapes do not fit each other")
    return [tuple(made[::-1])], []


def _sizes(shape: Shape) -> dict[str, int]:
    """Sizes by ncnn's names of axes."""
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
    return {**dict.fromkeys("whdc", 1), **dict(zip(names, shape, strict=True))}


def _size(word: str, inputs: Sequence[Shape]) -> int:
    """What ``12``, ``-1`` or ``0w``, the width of the first input, stands for."""
    if word[-1:] in "whdc" and word:
        size = _sizes(inputs[int(word[:-1])])[word[-1]]
        require(not word.startswith("-"), "it names no input")
        return size
    size = int(word)
    require(size == -1 or size > 0, "it has a size that is none")
    return size


@RULES.of("Flatten")
def _flatten(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    return [(math.prod(one(inputs)),)], []


@RULES.of("Permute")
def _permute(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs)
    orders = list(permutations(range(len(shape))))
    return [tuple(shape[axis] for axis in orders[numbers.whole(0, most=len(orders) - 1)])], []


@RULES.of("Squeeze")
def _squeeze(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs)
    axes = {axis_of(axis, len(shape)) for axis in numbers.array(3)}
    require(bool(axes), "it names no axis")
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes or size > 1) or (1,)], []


@RULES.of("ExpandDims")
def _expand_dims(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, axes = one(inputs), numbers.array(3)
    dims = len(shape) + len(axes)
    new_axes = {axis_of(axis, dims) for axis in axes}
    require(len(new_axes) == len(axes) >= 1 and dims <= 4, "it names no axis, or one twice")
    sizes = iter(shape)
    return [tuple(1 if axis in new_axes else next(sizes) for axis in range(dims))], []


@RULES.of("Padding")
def _padding(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs, 1, 2, 3)
    top, bottom, left, right = map(numbers.whole, range(4))
    kind, front, behind = numbers.whole(4, most=2), numbers.whole(7), numbers.whole(8)
    numbers.whole(6, most=0)
    numbers.real(5)
    pads = [(front, behind), (top, bottom), (left, right)][3 - len(shape) :]
    require(len(shape) == 3 or not front + behind, "it pads what is not there")
    require(len(shape) > 1 or not top + bottom, "it pads what is not there")
    require(kind != 2 or all(max(pad) < size for pad, size in zip(pads, shape, strict=True)), "its mirror is too small")
    return [tuple(size + sum(pad) for size, pad in zip(shape, pads, strict=True))], []
