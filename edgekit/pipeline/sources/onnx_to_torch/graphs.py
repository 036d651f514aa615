"""Walking an ONNX model: each of its operators in turn, and inside of them functions, branches and loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.onnx_to_torch.nodes import (
    TABLE,
    Node,
    Operator,
    UnsupportedOperator,
    Value,
    attribute_value,
)
from edgekit.pipeline.sources.onnx_to_torch.recording import Recorder
from edgekit.pipeline.sources.onnx_to_torch.tensors import ELEMENT_TYPES, tensor_of
from edgekit.pipeline.sources.samples import first_line

_Scope = dict[str, Value]
_OWN_DOMAINS = ("", "ai.onnx")
_OPTIMIZED = "com.microsoft"
#: What torch and Python raise for numbers, shapes and types that they do not take.
_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


class Walker:
    """Computes the graphs of *model*, and records what depends on its inputs."""

    def __init__(self, model: onnx.ModelProto, recorder: Recorder):
        self._recorder = recorder
        self._functions = {(each.domain, each.name, each.overload): each for each in model.functions}
        self._opsets = _opsets(model.opset_import)

    def graph(self, graph: onnx.GraphProto, inputs: Mapping[str, Value], outer: Mapping[str, Value]) -> list[Value]:
        """The outputs of *graph* for its *inputs*; it sees the values of *outer* as well.

        Raises:
            UnsupportedOperator: An operator in it is not imported.
            ConversionError: ``EK-UNSUPPORTED``: a tensor of it has a type that is not.
        """
        scope: _Scope = dict(outer)
        for stored in graph.initializer:
            scope[stored.name] = self._recorder.named(tensor_of(stored), stored.name)
        scope |= inputs
        return self._nodes(graph.node, [each.name for each in graph.output], scope, self._opsets, {})

    def _nodes(
        self,
        nodes: Sequence[onnx.NodeProto],
        outputs: Sequence[str],
        scope: _Scope,
        opsets: Mapping[str, int],
        given: Mapping[str, onnx.AttributeProto],
    ) -> list[Value]:
        """*given* are the attributes of the function whose body *nodes* are."""
        uses = Counter(name for node in nodes for name in _reads(node))
        uses.update(outputs)
        for node in nodes:
            values = self._node(node, scope, opsets, given)
            for name, value in zip(node.output, values, strict=False):
                if name:
                    scope[name] = value
            for name in _reads(node):  # the example of what nothing needs any more may be large
                uses[name] -= 1
                if not uses[name]:
                    scope.pop(name, None)
        return [scope.get(name) for name in outputs]

    def _node(
        self,
        proto: onnx.NodeProto,
        scope: _Scope,
        opsets: Mapping[str, int],
        given: Mapping[str, onnx.AttributeProto],
    ) -> Sequence[Value]:
        domain = "" if proto.domain in _OWN_DOMAINS else proto.domain
        attributes = {each.name: each for each in _bound(proto.attribute, given)}
        values = [scope[name] if name else None for name in proto.input]
        function = self._functions.get((proto.domain, proto.op_type, proto.overload))
        if function is not None:
            return self._function(function, values, attributes)
        before = self._recorder.label
        self._recorder.label = proto.name or next(filter(None, proto.output), proto.op_type)

        def body(graph: onnx.GraphProto, inputs: Sequence[Value]) -> list[Value]:
            names = [each.name for each in graph.input]
            return self.graph(_with_attributes(graph, given), dict(zip(names, inputs, strict=True)), scope)

        node = Node(
            op=proto.op_type,
            domain=domain,
            name=self._recorder.label,
            opset=opsets.get(domain, 1),
            attributes={name: attribute_value(each) for name, each in attributes.items()},
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            recorder=self._recorder,
            body=body,
        )
        try:
            found = TABLE.find(domain, proto.op_type)
            results = NotImplemented if found is None else _computed(found, node, values)
            return self._expanded(proto, node, values, attributes) if results is NotImplemented else results
        finally:
            self._recorder.label = before

    def _function(
        self, function: onnx.FunctionProto, values: Sequence[Value], attributes: Mapping[str, onnx.AttributeProto]
    ) -> list[Value]:
        """What a function of the model, or the definition of one of ONNX's operators, gives."""
        given = {each.name: each for each in function.attribute_proto} | dict(attributes)
        scope = dict.fromkeys(function.input) | dict(zip(function.input, values, strict=False))
        opsets = {**self._opsets, **_opsets(function.opset_import)}
        return self._nodes(function.node, function.output, scope, opsets, given)

    def _expanded(
        self, proto: onnx.NodeProto, node: Node, values: Sequence[Value], attributes: Mapping[str, onnx.AttributeProto]
    ) -> list[Value]:
        """What an operator gives that ONNX itself defines by others."""
        schema = None
        if onnx.defs.has(node.op, node.opset, node.domain):
            schema = onnx.defs.get_schema(node.op, node.opset, node.domain)
        function = None if schema is None else _definition(proto, schema, values)
        if schema is None or function is None:
            hint = "export the model without it, or with it written as others"
            if node.domain == _OPTIMIZED:
                hint = "ONNX Runtime's optimizer and quantizer write such operators: give the model from before them"
            raise UnsupportedOperator(node.title, f"{node} is an operator that edgekit does not import", hint)
        defaults = {name: each.default_value for name, each in schema.attributes.items() if each.default_value.type}
        return self._function(function, values, defaults | dict(attributes))


def _computed(function: Operator, node: Node, values: Sequence[Value]) -> Any:
    """The outputs that *function* gives; ``NotImplemented`` for what it leaves to ONNX's own definition."""
    try:
        with torch.no_grad():
            results = function(node, *values)
    except ConversionError:
        raise
    except _REFUSALS as error:
        shown = ", ".join(map(_shown, values))
        message = f"{node} is not imported for {shown or 'no inputs'}: {first_line(error)}"
        raise UnsupportedOperator(
            node.title, message, "check the model with onnx.checker, or export it again"
        ) from error
    return results if isinstance(results, (tuple, list)) or results is NotImplemented else (results,)


def _shown(value: Value) -> str:
    if value is None or isinstance(value, list):
        return "none" if value is None else f"{len(value)} tensors"
    return f"{value.dtype}{list(value.shape)}".removeprefix("torch.")


def _definition(proto: onnx.NodeProto, schema: Any, values: Sequence[Value]) -> onnx.FunctionProto | None:
    if schema.has_function:
        found: onnx.FunctionProto = schema.function_body
        return found
    if not schema.has_context_dependent_function:
        return None
    types = [
        b""
        if value is None
        else onnx.helper.make_tensor_type_proto(ELEMENT_TYPES[value.dtype], value.shape).SerializeToString()
        for value in values
    ]
    function = onnx.FunctionProto()
    function.ParseFromString(schema.get_context_dependent_function(proto.SerializeToString(), types))
    return function if function.node else None


def _opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {"" if each.domain in _OWN_DOMAINS else each.domain: each.version for each in imports}


def _bound(
    attributes: Iterable[onnx.AttributeProto], given: Mapping[str, onnx.AttributeProto]
) -> Iterator[onnx.AttributeProto]:
    """*attributes*, with those that stand for one of the function around them replaced by it."""
    for each in attributes:
        if not each.ref_attr_name:
            yield each
        elif each.ref_attr_name in given:
            value = onnx.AttributeProto()
            value.CopyFrom(given[each.ref_attr_name])
            value.name = each.name
            yield value


def _with_attributes(graph: onnx.GraphProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.GraphProto:
    """*graph*, inside of a function, with the function's attributes in its operators."""
    if not given:
        return graph
    found = onnx.GraphProto()
    found.CopyFrom(graph)
    for node in found.node:
        bound = list(_bound(node.attribute, given))
        del node.attribute[:]
        node.attribute.extend(bound)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                attribute.g.CopyFrom(_with_attributes(attribute.g, given))
    return found


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names of all that *node* reads, with what the graphs inside of it read of those around them."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        if attribute.type in _GRAPHS:
            for graph in (attribute.g, *attribute.graphs):
                yield from (each.name for each in graph.output)
                for inner in graph.node:
                    yield from _reads(inner)
