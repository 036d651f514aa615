"""Our recipes as rules of ai-edge-quantizer, which applies them to a float ``.tflite``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import algorithm_manager, qtyping
from ai_edge_quantizer.recipe_manager import RecipeManager

from edgekit.pipeline.recipes.tail import Kind, Operator, tail
from edgekit.recipes import Recipe

#: By which recipes name it.
NAME = "litert"
_Operation = qtyping.TFLOperationName
_Algorithm = algorithm_manager.AlgorithmName
_BUILTINS = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}

_NAMES: dict[Kind, str] = {
    "join": "CONCATENATION PACK",
    "layout": "RESHAPE TRANSPOSE SQUEEZE EXPAND_DIMS SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK",
    "elementwise": "ABS ADD DIV ELU EXP GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MINIMUM MUL NEG POW PRELU RELU "
    "RELU6 RELU_0_TO_1 RELU_N1_TO_1 RSQRT SOFTMAX SQRT SQUARE SQUARED_DIFFERENCE SUB TANH",
}
_KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
#: Operators that run other subgraphs. ai-edge-quantizer 0.10.0 calibrates a loop's body by what the last pass left, and
#: asks for ranges of the loop's own tensors that it never took ("not found in tensor_name_to_qsv").
_CONTROL = frozenset({"CALL", "CALL_ONCE", "IF", "WHILE"})
#: What hands on the infinity of a mask. ai-edge-quantizer 0.10.0 gives one a scale of 10^36, and what it is added to
#: that of all other values; LiteRT 2.3.0 ends its process when it reads the file (SIGABRT).
_KEEPING = frozenset({"ADD", "SUB", "SELECT", "SELECT_V2", *_NAMES["layout"].split()})
_ENDLESS = 1e9


def rules(recipe: Recipe, model: bytes) -> RecipeManager:
    """The rules for *recipe*, which is not exact, and the float ``.tflite`` *model*.

    A later rule wins. In static int8 loops stay float, and so does the tail (`edgekit.pipeline.recipes.tail`); whole
    numbers stay as they are, which ai-edge-quantizer 0.10.0 takes for floats to be quantized, and what is masked.
    """
    manager, numbers = RecipeManager(), itertools.count()

    def own(scope: str) -> str:
        """*scope* with a place of its own: the manager keeps the first place of one that it is given again."""
        return f"(?#{next(numbers)}){scope}"

    def scheme(scope: str) -> None:
        scope = own(scope)
        if recipe.is_half:
            manager.add_weight_only_config(scope, _Operation.ALL_SUPPORTED, 16, algorithm_key=_Algorithm.FLOAT_CASTING)
        elif recipe.is_dynamic:
            manager.add_dynamic_config(scope, _Operation.ALL_SUPPORTED, 8)
        else:
            manager.add_static_config(scope, _Operation.ALL_SUPPORTED, 8, 8)
            manager.add_dynamic_config(scope, _Operation.EMBEDDING_LOOKUP, 8)  # there is no other for tables

    def leave(scope: str, operation: Any = _Operation.ALL_SUPPORTED) -> None:
        manager.add_quantization_config(own(scope), operation, algorithm_key=_Algorithm.NO_QUANTIZE)

    scheme("")
    for rule in recipe.rules.get(NAME, ()):
        (leave if rule.treatment == "float" else scheme)(rule.scope)
    if recipe.is_static:
        leave("", _Operation.INPUT)
        leave("", _Operation.OUTPUT)
        for scope in _float_scopes(model):
            leave(f"^{re.escape(scope)}$")
    return manager


def _float_scopes(model: bytes) -> Iterator[str]:
    """Scopes, in ai-edge-quantizer's sense, of the operators that stay float in ``int8``."""
    read = schema.Model.GetRootAs(model, 0)
    entries = {0, *(read.SignatureDefs(index).SubgraphIndex() for index in range(read.SignatureDefsLength()))}
    for index in range(read.SubgraphsLength()):
        graph = read.Subgraphs(index)
        names, operators = [], []
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            name = _BUILTINS.get(read.OperatorCodes(operator.OpcodeIndex()).BuiltinCode(), "")
            sides = _numbers(operator, "Inputs"), _numbers(operator, "Outputs")
            names.append(name)
            operators.append(Operator(_KINDS.get(name), *sides))
        joining = set(tail(operators, _numbers(graph, "Outputs")))
        endless: set[Hashable] = {number for number in range(graph.TensorsLength()) if _is_endless(read, graph, number)}
        for position, (name, described) in enumerate(zip(names, operators, strict=True)):
            whole = all(graph.Tensors(number).Type() != schema.TensorType.FLOAT32 for number in described.outputs)
            masked = not endless.isdisjoint(described.inputs)
            if masked and name in _KEEPING:
                endless.update(described.outputs)
            if index not in entries or position in joining or name in _CONTROL or whole or masked:
                yield "".join(f"{graph.Tensors(number).Name().decode()};" for number in described.outputs)


def _is_endless(model: Any, graph: Any, number: int) -> bool:
    """Whether a tensor is a constant with infinities in it, or what stands for them in a mask."""
    tensor = graph.Tensors(number)
    held = model.Buffers(tensor.Buffer()).DataAsNumpy()
    if tensor.Type() != schema.TensorType.FLOAT32 or not isinstance(held, np.ndarray):
        return False
    return not bool((np.abs(held.view(np.float32)) < _ENDLESS).all())


def _numbers(owner: Any, side: str) -> tuple[int, ...]:
    """The tensors on one *side* of an operator or graph; missing ones left out."""
    numbers = map(getattr(owner, side), range(getattr(owner, f"{side}Length")()))
    return tuple(number for number in numbers if number >= 0)
