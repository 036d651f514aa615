"""Layers that compute each value by itself, of two, or against its neighbours on an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgekit.runtime.contents.ncnn.rules import (
    MOST_OUTPUTS,
    Numbers,
    Result,
    Rule,
    Rules,
    Shape,
    Weight,
    axis_of,
    one,
    require,
)

RULES = Rules()


def _elementwise(*reals: int, most: Mapping[int, int] | None = None) -> Rule:
    """A rule for layers that keep the shape of what they are given."""

    def rule(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
        numbers.real(*reals)
        for key, number in (most or {}).items():
            numbers.whole(key, most=number)
        return [one(inputs)], []

    return rule


for _names, _rule in {
    ("Mish", "Sigmoid", "Swish", "TanH", "Erf"): _elementwise(),
    ("ReLU", "ELU", "CELU", "Dropout"): _elementwise(0),
    ("Clip", "HardSigmoid", "HardSwish", "SELU", "Softplus"): _elementwise(0, 1),
    ("GELU",): _elementwise(most={0: 1}),
    ("UnaryOp",): _elementwise(most={0: 27}),
}.items():
    RULES.of(*_names)(_rule)


@RULES.of("PReLU")
def _prelu(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, slopes = one(inputs), numbers.whole(0, most=MOST_OUTPUTS)
    require(slopes in (1, shape[0]), f"it has {slopes} slopes")
    return [shape], [Weight((slopes,))]


@RULES.of("Softmax")
def _softmax(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs)
    axis = axis_of(numbers.whole(0, least=-4, most=3), len(shape))
    require(numbers.flag(1) or axis == 0, "it is of an older ncnn")
    return [shape], []


@RULES.of("CumulativeSum")
def _cumulative_sum(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs, 1, 2, 3)
    axis_of(numbers.whole(0, least=-4, most=3), len(shape))
    return [shape], []


@RULES.of("BatchNorm")
def _batch_norm(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.real(1)
    shape, channels = one(inputs), numbers.whole(0, most=MOST_OUTPUTS)
    require(channels == shape[0], f"it has {channels} channels")
    return [shape], [Weight((channels,))] * 4


@RULES.of("LayerNorm", "RMSNorm")
def _layer_norm(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.real(1)
    shape, size, affine = one(inputs), numbers.whole(0, most=MOST_OUTPUTS), numbers.flag(2, 1)
    whole = [shape[-1], *([math.prod(shape[1:])] if len(shape) > 2 else [])]
    require(size in whole, f"it takes {size} values")
    is_centred = numbers.type == "LayerNorm"
    return [shape], [Weight((size,))] * ((2 if is_centred else 1) if affine else 0)


@RULES.of("GroupNorm")
def _group_norm(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.real(2)
    shape, groups = one(inputs), numbers.whole(0, 1, 1, MOST_OUTPUTS)
    channels, affine = numbers.whole(1, most=MOST_OUTPUTS), numbers.flag(3, 1)
    require(channels == shape[0] and channels % groups == 0, f"it has {channels} channels")
    return [shape], [Weight((channels,))] * (2 if affine else 0)


@RULES.of("InstanceNorm")
def _instance_norm(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.real(1)
    shape, channels, affine = one(inputs, 3), numbers.whole(0, most=MOST_OUTPUTS), numbers.flag(2, 1)
    require(not affine or channels == shape[0], f"it has {channels} channels")
    return [shape], [Weight((channels,))] * (2 if affine else 0)


@RULES.of("BinaryOp")
def _binary(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.whole(0, most=11)
    numbers.real(2)
    if numbers.flag(1):
        return [one(inputs)], []
    a, b = inputs
    dims = max(len(a), len(b))
    a, b = _expanded(a, b, dims), _expanded(b, a, dims)
    require(all(1 in pair or pair[0] == pair[1] for pair in zip(a, b, strict=True)), "its inputs do not fit")
    return [tuple(map(max, a, b))], []


def _expanded(shape: Shape, other: Shape, dims: int) -> Shape:
    """*shape* with as many axes as *other*: ncnn has its own along the outermost ones, unless it is the innermost."""
    if len(shape) == dims:
        return shape
    if len(shape) == 1 and shape[0] != other[0]:
        return (*(1,) * (dims - 1), *shape)
    return (*shape, *(1,) * (dims - len(shape)))


@RULES.of("Eltwise")
def _eltwise(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.whole(0, most=2)
    require(len(inputs) > 1 and len(set(inputs)) == 1, "its inputs do not fit each other")
    require(numbers.reals(1) in (0, len(inputs)), "it has factors for other inputs")
    return [inputs[0]], []


@RULES.of("GLU")
def _glu(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs, 1, 2, 3)
    axis = axis_of(numbers.whole(0, least=-4, most=3), len(shape))
    require(shape[axis] % 2 == 0, "its input has no halves")
    return [(*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])], []
