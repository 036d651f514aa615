"""Layers that multiply matrices: linear ones, attention, and recurrent ones."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.runtime.contents.ncnn.rules import (
    MOST_OUTPUTS,
    MOST_WHOLE,
    Numbers,
    Result,
    Rules,
    Shape,
    Weight,
    activation,
    fits,
    one,
    require,
)

RULES = Rules()


@RULES.of("InnerProduct")
def _inner_product(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, outputs = one(inputs, 1, 2), numbers.whole(0, least=1, most=MOST_OUTPUTS)
    require(numbers.whole(2, most=MOST_WHOLE) == outputs * shape[-1], "its weights do not fit its input")
    activation(numbers)
    weights = [Weight((outputs, shape[-1]), typed=True), *([Weight((outputs,))] if numbers.flag(1) else [])]
    return [(*shape[:-1], outputs)], weights


@RULES.of("Gemm")
def _gemm(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    numbers.real(0, 1)
    turned_a, turned_b, constant_a, constant_b, constant_c = map(numbers.flag, (2, 3, 4, 5, 6))
    rows, columns, depth = (numbers.whole(key, most=MOST_OUTPUTS) for key in (7, 8, 9))
    spread = numbers.whole(10, least=-1, most=4)
    turned = numbers.flag(14)
    given, weights = list(inputs), list[Weight]()
    require(all(len(shape) == 2 for shape in given), "its inputs are no matrices")
    left = ((depth, rows) if turned_a else (rows, depth)) if constant_a else given.pop(0)
    right = ((columns, depth) if turned_b else (depth, columns)) if constant_b else given.pop(0)
    a, b = left[::-1] if turned_a else left, right[::-1] if turned_b else right
    require(a[1] == b[0], "its matrices do not fit each other")
    for constant, shape in ((constant_a, left), (constant_b, right)):
        weights += [Weight(shape, typed=True)] if constant else []
    m, n = a[0], b[1]
    if constant_c:
        # ncnn spreads a constant by the sizes that it was told.
        require(spread in (-1, 0, 4) or rows in (0, m), "its rows are others")
        require(rows in (0, m) and columns in (0, n), "its sizes are others")
        require(spread not in (1, 2, 3) or rows == m, "its sizes are others")
        require(spread not in (3, 4) or columns == n, "its sizes are others")
        bias = {-1: (), 0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n)}[spread]
        weights += [Weight(bias, typed=True)] if bias else []
    require(not given, "it has too many inputs")
    return [(n, m) if turned else (m, n)], weights


@RULES.of("MatMul")
def _mat_mul(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    a, b = inputs
    turned = numbers.flag(0)
    require(len(a) == len(b) >= 2 and a[:-2] == b[:-2], "its inputs do not fit each other")
    depth, columns = b[-2:][::-1] if turned else b[-2:]
    require(a[-1] == depth, "its inputs do not fit each other")
    return [(*a[:-1], columns)], []


@RULES.of("MultiHeadAttention")
def _attention(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    width, heads = numbers.whole(0, least=1, most=MOST_OUTPUTS), numbers.whole(1, 1, 1)
    size = numbers.whole(2, most=MOST_WHOLE)
    key_width, value_width = (numbers.whole(key, width, 1, MOST_OUTPUTS) for key in (3, 4))
    numbers.real(6)
    require(width >= 1 and width % heads == 0 and size % width == 0, "its heads do not fit its width")
    require(1 <= len(inputs) <= 3 and all(len(shape) == 2 for shape in inputs), "its inputs are no sequences")
    query = inputs[0]
    key = inputs[1] if len(inputs) > 1 else query
    value = inputs[2] if len(inputs) > 2 else key
    own = size // width
    require((query[1], key[1], value[1]) == (own, key_width, value_width), "its inputs are of another width")
    require(key[0] == value[0], "its keys are not as many as its values")
    fits(heads, query[0], key[0])
    weights = [
        each
        for shape in ((width, own), (width, key_width), (width, value_width), (own, width))
        for each in (Weight(shape, typed=True), Weight(shape[:1]))
    ]
    return [(query[0], own)], weights


@RULES.of("SDPA")
def _scaled_attention(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    masked = numbers.flag(5)
    numbers.real(6)
    query, key, value, *masks = inputs
    require(all(len(shape) == 3 for shape in (query, key, value)), "its inputs are no heads of sequences")
    require(key[0] == value[0] and query[0] % key[0] == 0 and query[2] == key[2], "its heads do not fit each other")
    require(key[1] == value[1], "its keys are not as many as its values")
    fits(query[0], query[1], key[1])
    wanted = ((query[1], key[1]), (1, query[1], key[1]), (query[0], query[1], key[1]))
    require(len(masks) == masked and all(mask in wanted for mask in masks), "its mask does not fit")
    return [(*query[:2], value[2])], []


@RULES.of("LSTM", "GRU", "RNN")
def _recurrent(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    (steps, size), outputs = one(inputs, 2), numbers.whole(0, least=1, most=MOST_OUTPUTS)
    stored, directions = numbers.whole(1, most=MOST_WHOLE), 2 if numbers.whole(2, most=2) == 2 else 1
    gates, biases = {"LSTM": (4, 4), "GRU": (3, 4), "RNN": (1, 1)}[numbers.type]
    hidden = numbers.whole(3, outputs, 1, MOST_OUTPUTS) if numbers.type == "LSTM" else outputs
    require(stored == size * gates * hidden * directions, "its weights do not fit its input")
    weights = [
        Weight((directions, gates * hidden, size), typed=True),
        Weight((directions, biases, hidden), typed=True),
        Weight((directions, gates * hidden, outputs), typed=True),
    ]
    weights += [Weight((directions, outputs, hidden), typed=True)] if hidden != outputs else []
    states = [(directions, outputs), *([(directions, hidden)] if numbers.type == "LSTM" else [])]
    require(count in (1, 1 + len(states)), f"it has {count} outputs")
    return [(steps, outputs * directions), *(states if count > 1 else [])], weights
