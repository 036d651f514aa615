"""``.tflite`` files that keep a state from call to call, as ones that take it in and give it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources.tflite_graph import keep_reached, read, write
from edgekit.runtime.contents.tflite import ON_VARIABLES

_Builtin = schema.BuiltinOperator
_code = flatbuffer_utils.get_builtin_code_from_operator_code
_ON_VARIABLES = {getattr(_Builtin, name) for name in ON_VARIABLES}


@dataclass(frozen=True)
class Handed:
    """A file whose state goes in and out.

    Attributes:
        states: Names of the inputs that are states, each with the output that is its next value, and the number that
            all of it is before the first call.
    """

    data: bytes
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def said(self) -> tuple[str, ...]:
        """What somebody who runs the file has to know of it; nothing for one without a state."""
        if not self.states:
            return ()
        alike = len({first for _, first in self.states.values()}) == 1
        each = [
            f"{name} from {after}{'' if alike else f' ({first} at first)'}"
            for name, (after, first) in self.states.items()
        ]
        at_first = f"; all of it is {next(iter(self.states.values()))[1]} at first" if alike else ""
        message = "keeps nothing from call to call, as the given file does; hand it its state, "
        return (f"{message}{', '.join(each)}{at_first}",)


def handed(data: bytes) -> Handed | None:
    """The file at *data* with its variables as inputs and outputs; None where they are more than read and written.

    They have to be in the first graph, and to be filled with one number each before its first run.
    """
    model = read(data)
    codes = [_code(each) for each in model.operatorCodes]
    if not set(codes).intersection(_ON_VARIABLES):
        return Handed(data)
    found = _Walk(model, codes)
    return found.handed() if found.is_plain else None


class _Walk:
    """The first graph in the order in which it runs, its variables followed."""

    def __init__(self, model: Any, codes: list[int]):
        self._model, self._codes, self._graph = model, codes, model.subgraphs[0]
        self.is_plain = True
        self._starting = self._initial()
        self._read: dict[bytes, int] = {}  # the tensor that has a variable's value before the run
        self._now: dict[bytes, int] = {}  # … and the one that has it at this point
        self._written: set[bytes] = set()
        self._same: dict[int, int] = {}
        self._graph.operators = list(self._left(self._graph.operators))
        self.is_plain &= all(
            self._codes[operator.opcodeIndex] not in _ON_VARIABLES | {_Builtin.CALL_ONCE}
            for number, graph in enumerate(model.subgraphs)
            if number not in self._initializers
            for operator in graph.operators or ()
        )
        self.is_plain &= set(self._starting) >= set(self._read)

    def _initial(self) -> dict[bytes, np.ndarray]:
        """What variables are before the first run, by their names."""
        calls = [each for each in self._graph.operators if self._codes[each.opcodeIndex] == _Builtin.CALL_ONCE]
        self._initializers = {each.builtinOptions.initSubgraphIndex for each in calls}
        values: dict[bytes, np.ndarray] = {}
        for graph in (self._model.subgraphs[number] for number in self._initializers):
            names: dict[int, bytes] = {}
            for operator in graph.operators:
                code = self._codes[operator.opcodeIndex]
                if code == _Builtin.VAR_HANDLE:
                    names[operator.outputs[0]] = operator.builtinOptions.sharedName
                elif code == _Builtin.ASSIGN_VARIABLE and operator.inputs[0] in names:
                    tensor = graph.tensors[operator.inputs[1]]
                    stored = self._model.buffers[tensor.buffer].data
                    values[names[operator.inputs[0]]] = np.array([] if stored is None else stored, np.uint8)
                else:
                    self.is_plain = False
        return values

    def _left(self, operators: list[Any]) -> Iterator[Any]:
        names: dict[int, bytes] = {}
        for operator in operators:
            code = self._codes[operator.opcodeIndex]
            given = () if operator.inputs is None else operator.inputs
            inputs = [self._same.get(int(each), int(each)) for each in given]
            if code == _Builtin.VAR_HANDLE:
                names[int(operator.outputs[0])] = operator.builtinOptions.sharedName
            elif code in _ON_VARIABLES and inputs[0] not in names:
                self.is_plain = False
            elif code == _Builtin.READ_VARIABLE:
                name, output = names[inputs[0]], int(operator.outputs[0])
                if name in self._now:
                    self._same[output] = self._now[name]
                else:
                    self._read[name] = self._now[name] = output
            elif code == _Builtin.ASSIGN_VARIABLE:
                self._now[names[inputs[0]]] = inputs[1]
                self._written.add(names[inputs[0]])
            elif code != _Builtin.CALL_ONCE:
                self.is_plain &= names.keys().isdisjoint(inputs)
                operator.inputs = np.array(inputs, np.int32)
                yield operator

    def handed(self) -> Handed | None:
        graph, model = self._graph, self._model
        graph.outputs = [self._same.get(int(each), int(each)) for each in graph.outputs]
        graph.inputs = [int(each) for each in graph.inputs]
        definitions = model.signatureDefs or []
        for definition in definitions:
            for entry in definition.outputs:
                entry.tensorIndex = self._same.get(entry.tensorIndex, entry.tensorIndex)
        taken = [entry.name.decode() for each in definitions for entry in (*each.inputs, *each.outputs)]
        taken += [] if definitions else [graph.tensors[each].name.decode() for each in (*graph.inputs, *graph.outputs)]
        states: dict[str, tuple[str, str]] = {}
        for variable, number in self._read.items():
            first = self._first(variable, graph.tensors[number])
            if first is None:
                return None
            if variable not in self._written:
                graph.tensors[number].buffer = self._constant(variable, graph.tensors[number])
                continue
            name = tensor_name(variable.decode(errors="replace"), "state")
            taken = [*distinct([*taken, name])]
            after = f"{taken[-1]}_next"
            taken = [*distinct([*taken, after])]
            *_, name, after = taken
            output = self._now[variable]
            if output in graph.outputs or output in graph.inputs or output in self._read.values():
                output = self._copy(output)
            self._hand(definitions, number, name, "inputs")
            self._hand(definitions, output, after, "outputs")
            states[name] = after, first
        keep_reached(model, 0)
        return Handed(write(model), states)

    def _values(self, variable: bytes, tensor: Any) -> np.ndarray | None:
        """What *variable* is at first, of the dtype of *tensor*; None for what is no number."""
        dtype = _DTYPES.get(tensor.type)
        return None if dtype is None else np.frombuffer(self._starting[variable].tobytes(), dtype)

    def _first(self, variable: bytes, tensor: Any) -> str | None:
        """The number that all of *variable* is at first."""
        values = self._values(variable, tensor)
        if values is None or not len(values) or (values != values[0]).any():
            return None
        return str(values[0])

    def _constant(self, variable: bytes, tensor: Any) -> int:
        values = self._values(variable, tensor)
        assert values is not None
        full = np.resize(values, int(np.prod(tensor.shape)))
        return self._buffer(full)

    def _buffer(self, values: np.ndarray) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _hand(self, definitions: list[Any], number: int, name: str, side: str) -> None:
        """Make tensor *number* an input or output of that *name*."""
        getattr(self._graph, side).append(number)
        if not definitions:
            self._graph.tensors[number].name = name.encode()
        for definition in definitions:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), number
            setattr(definition, side, [*getattr(definition, side), entry])

    def _copy(self, number: int) -> int:
        """Another tensor of the values of that *number*: one tensor is one output, and no input."""
        graph, source = self._graph, self._graph.tensors[number]
        copied, shape, operator, code = schema.TensorT(), schema.TensorT(), schema.OperatorT(), schema.OperatorCodeT()
        for name in ("shape", "type", "quantization", "hasRank", "shapeSignature"):
            setattr(copied, name, getattr(source, name))
        shape.shape, shape.type, shape.name = [len(source.shape)], schema.TensorType.INT32, source.name + b"/shape"
        copied.name, copied.buffer = source.name + b"/next", 0
        shape.buffer = self._buffer(np.asarray(source.shape, np.int32))
        code.builtinCode = code.deprecatedBuiltinCode = _Builtin.RESHAPE
        code.version = 1
        self._model.operatorCodes.append(code)
        graph.tensors += [shape, copied]
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = [number, len(graph.tensors) - 2], [len(graph.tensors) - 1]
        graph.operators.append(operator)
        return len(graph.tensors) - 1


_DTYPES: dict[int, np.dtype[Any]] = {
    getattr(schema.TensorType, name.upper()): np.dtype(name)
    for name in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")
}
