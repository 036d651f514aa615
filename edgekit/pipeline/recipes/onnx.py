"""Which operators of an ``.onnx`` stay float in static int8."""

from __future__ import annotations

from typing import Any

from edgekit.pipeline.recipes.tail import Kind, Operator, tail

_NAMES: dict[Kind, str] = {
    "join": "Concat",
    "layout": "Reshape Transpose Squeeze Unsqueeze Slice Split Flatten Expand",
    "elementwise": "Abs Add Div Elu Exp Gelu HardSwish LeakyRelu Log Sigmoid Max Min Mul Neg Pow PRelu Relu Clip "
    "Reciprocal Softmax Sqrt Sub Tanh HardSigmoid Softplus Erf",
}
_KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def float_nodes(model: Any) -> list[str]:
    """Names of the operators in the tail of *model*'s graph (see `edgekit.pipeline.recipes.tail`), all of which are
    named."""
    nodes = list(model.graph.node)
    operators = [Operator(_KINDS.get(node.op_type), tuple(node.input), tuple(node.output)) for node in nodes]
    outputs = [value.name for value in model.graph.output]
    return [nodes[index].name for index in tail(operators, outputs)]
