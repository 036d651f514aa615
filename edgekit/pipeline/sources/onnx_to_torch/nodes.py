"""One operator of an ONNX graph as the functions that compute it see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import onnx
import torch

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.onnx_to_torch.recording import Recorder, inputs_of, is_traced
from edgekit.pipeline.sources.onnx_to_torch.tensors import tensor_of

#: What an operator's function takes and gives: a tensor, known or traced; None for an input that is left out.
Value = Any
Operator = Callable[..., Any]


class UnsupportedOperator(ConversionError):
    """``EK-UNSUPPORTED``: an operator, or a use of it, that is not imported.

    Attributes:
        operator: Its type, with its domain unless that is ONNX's own.
        inputs: The model's inputs that would have to be constants, where it is that.
    """

    def __init__(self, operator: str, message: str, hint: str, inputs: Sequence[str] = ()):
        super().__init__("EK-UNSUPPORTED", message, hint)
        self.operator = operator
        self.inputs = tuple(inputs)


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        op: Its type, as ``Conv``.
        domain: Empty for ONNX's own.
        name: Of the node, or of its first output.
        opset: Version of the operator set of its domain.
        attributes: By name: numbers, text, lists of these, tensors, graphs.
        inputs: Names of the inputs; empty for those that are left out.
        outputs: The same for the outputs.
        recorder: Where modules are recorded.
        body: Computes a graph among the attributes for its inputs, in order.
    """

    op: str
    domain: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    recorder: Recorder
    body: Callable[[onnx.GraphProto, Sequence[Value]], list[Value]]

    @property
    def title(self) -> str:
        return f"{self.domain}.{self.op}" if self.domain else self.op

    def __str__(self) -> str:
        return f"{self.title} ({self.name!r})"

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute *name*."""
        return self.attributes.get(name, default)

    def wants(self, index: int) -> bool:
        """Whether anything asks for the output at *index*."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def call(self, module: torch.nn.Module, *args: Value) -> Value:
        """What *module*, as a part of the imported one, gives for *args*."""
        return self.recorder.call(module, *args)

    def constant(self, value: Value, what: str) -> torch.Tensor:
        """*value*, the input that ONNX calls *what*; refused where it is known only as the model runs."""
        if is_traced(value):
            names = inputs_of(value)
            shown = ", ".join(map(repr, names))
            raise UnsupportedOperator(
                self.title,
                f"{self} has its {what!r} computed from the model's input {shown}: files have fixed shapes",
                f"--constant {names[0]}=NUMBERS makes a constant of the input; or export the model with fixed shapes",
                names,
            )
        return value

    def ints(self, value: Value, what: str) -> list[int]:
        """The whole numbers in *value*, a constant, flattened."""
        return [int(each) for each in self.constant(value, what).reshape(-1).tolist()]

    def number(self, value: Value, what: str) -> Any:
        """The only number in *value*, a constant."""
        return self.constant(value, what).reshape(-1)[0].item()

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Refuse this use of the operator: ``X ('node') WHY``."""
        raise UnsupportedOperator(
            self.title, f"{self} {why}", hint or "express it by other operators, and export the model again"
        )


class Table:
    """Operators by domain and type."""

    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], Operator] = {}

    def operator(self, *names: str, domain: str = "") -> Callable[[Operator], Operator]:
        """A decorator: the function computes the operators called *names*."""

        def register(function: Operator) -> Operator:
            for name in names:
                self._functions[domain, name] = function
            return function

        return register

    def simple(self, functions: Mapping[str, Operator], domain: str = "") -> None:
        """Operators that have no attributes, each as the function of its inputs."""
        for name, function in functions.items():
            self._functions[domain, name] = lambda node, *values, function=function: function(*values)

    def find(self, domain: str, name: str) -> Operator | None:
        return self._functions.get((domain, name))

    def names(self) -> Sequence[tuple[str, str]]:
        return sorted(self._functions)


TABLE = Table()
operator = TABLE.operator
simple = TABLE.simple


def attribute_value(attribute: onnx.AttributeProto) -> Any:
    """What an attribute holds; text as `str`, tensors as torch's, graphs as they are."""
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return tensor_of(value)
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return list(value)
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [each.decode("utf-8", "replace") for each in value]
    return value
