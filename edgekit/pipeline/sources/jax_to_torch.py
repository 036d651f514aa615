"""Flat programs of JAX as PyTorch modules: each primitive by the operator of PyTorch that computes the same.

Tensors keep the layout that convolutions and pools of PyTorch want (channels first) as long as only element-wise
primitives follow: JAX's own models have channels last, and would be turned around at every layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jax.extend.core import ClosedJaxpr, Literal

from edgekit.pipeline.sources.jax_elementwise import ELEMENTWISE
from edgekit.pipeline.sources.jax_primitives import PRIMITIVES
from edgekit.pipeline.sources.jax_values import Number, Value, as_type, dtype_of, unsupported


def rebuild(program: ClosedJaxpr) -> torch.nn.Module:
    """*program* as a module that takes its inputs in order, and returns its outputs: one tensor, or a tuple.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``, naming the primitive that has no equivalent.
    """
    for equation in program.jaxpr.eqns:
        name = equation.primitive.name
        if name not in PRIMITIVES and name not in ELEMENTWISE:
            raise unsupported(name)
    return _Program(program)


class _Program(torch.nn.Module):
    """Runs the equations one by one; torch.export sees the operators alone."""

    def __init__(self, program: ClosedJaxpr):
        super().__init__()
        self._jaxpr = program.jaxpr
        self._names: dict[Any, str] = {}
        self._numbers: dict[Any, Number] = {}
        for index, (variable, value) in enumerate(zip(program.jaxpr.constvars, program.consts, strict=True)):
            array = np.array(value)
            if array.ndim == 0:
                self._numbers[variable] = array.item()
                continue
            self._names[variable] = f"constant_{index}"
            tensor = torch.from_numpy(array)
            if tensor.is_floating_point():
                self.register_parameter(f"constant_{index}", torch.nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(f"constant_{index}", tensor)
        self._turned: dict[tuple[Any, tuple[int, ...]], str] = {}
        self._hold_kernels()

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        known: dict[Any, Value | Number] = dict(self._numbers)
        for variable, name in self._names.items():
            known[variable] = Value.of(getattr(self, name))
        for (variable, order), name in self._turned.items():
            # Where it is needed turned alone, the tensor itself is not kept, and nobody asks for it.
            value = known.setdefault(variable, Value(getattr(self, name), tuple(variable.aval.shape)))
            assert isinstance(value, Value)
            value.turned[order] = getattr(self, name)
        known |= {variable: Value.of(each) for variable, each in zip(self._jaxpr.invars, tensors, strict=True)}
        for equation in self._jaxpr.eqns:
            values = [_literal(atom) if isinstance(atom, Literal) else known[atom] for atom in equation.invars]
            results = _run(equation, values)
            known |= dict(zip(equation.outvars, results, strict=True))
        held = {id(each) for each in (*tensors, *self.parameters(), *self.buffers())}
        outputs = [_output(atom, known) for atom in self._jaxpr.outvars]
        outputs = [each.clone() if id(each) in held else each for each in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _hold_kernels(self) -> None:
        """Keep kernels and matrices as PyTorch's operators take them: turned at run time, nothing is delegated."""
        read = [atom for equation in self._jaxpr.eqns for atom in equation.invars] + list(self._jaxpr.outvars)
        uses = Counter(atom for atom in read if not isinstance(atom, Literal))
        for equation in self._jaxpr.eqns:
            name, held = equation.primitive.name, (*equation.invars, None, None)[1]
            if held is None or isinstance(held, Literal) or held not in self._names:
                continue
            if name == "conv_general_dilated":
                order = tuple(equation.params["dimension_numbers"].rhs_spec)
            elif name == "dot_general" and not equation.params["dimension_numbers"][1][0]:
                contracted = tuple(equation.params["dimension_numbers"][0][1])
                order = (*(axis for axis in range(held.aval.ndim) if axis not in contracted), *contracted)
            else:
                continue
            if order == tuple(range(len(order))):
                continue
            uses[held] -= 1
            if (held, order) in self._turned:
                continue
            self._turned[held, order] = f"{self._names[held]}_turned_{len(self._turned)}"
            turned = getattr(self, self._names[held]).detach().permute(order).contiguous()
            if turned.is_floating_point():
                self.register_parameter(self._turned[held, order], torch.nn.Parameter(turned, requires_grad=False))
            else:
                self.register_buffer(self._turned[held, order], turned)
        for held in {held for held, _ in self._turned if not uses[held]}:
            delattr(self, self._names.pop(held))


def _literal(atom: Any) -> Value | Number:
    array = np.asarray(atom.val)
    return array.item() if array.ndim == 0 else Value.of(torch.from_numpy(np.array(array)))


def _run(equation: Any, values: Sequence[Value | Number]) -> Sequence[Value | Number]:
    name, avals = equation.primitive.name, [variable.aval for variable in equation.outvars]
    if name in ELEMENTWISE:
        compute: Callable[..., Any] = ELEMENTWISE[name]
        return [_elementwise(compute, values, equation.params, avals[0])]
    made: Sequence[Value | torch.Tensor] = PRIMITIVES[name](values, equation.params, avals)
    results = [each if isinstance(each, Value) else Value.of(each) for each in made]
    for result, aval in zip(results, avals, strict=True):
        result.tensor = as_type(result.tensor, dtype_of(aval.dtype))
    return results


def _elementwise(compute: Callable[..., Any], values: Sequence[Value | Number], params: Any, aval: Any) -> Value:
    """*compute* on the tensors as they lie, all in the order of the first that is not in its own."""
    tensors = [value for value in values if isinstance(value, Value)]
    if not tensors:
        filled = [torch.tensor(value) for value in values]
        return Value.of(as_type(compute(params, *filled), dtype_of(aval.dtype)))
    order = next((value.order for value in tensors if value.order is not None), None)
    laid = [value.laid(order) if isinstance(value, Value) else value for value in values]
    result: torch.Tensor = compute(params, *laid)
    return Value(as_type(result, dtype_of(aval.dtype)), tuple(aval.shape), order)


def _output(atom: Any, known: dict[Any, Value | Number]) -> torch.Tensor:
    if isinstance(atom, Literal):
        return torch.from_numpy(np.array(atom.val))
    value = known[atom]
    if isinstance(value, Value):
        return value.whole()
    return torch.full(tuple(atom.aval.shape), value, dtype=dtype_of(atom.aval.dtype))
