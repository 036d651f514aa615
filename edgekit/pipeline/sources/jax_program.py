"""JAX functions as flat programs: one list of primitives, loops unrolled, what depends on no input worked out.

What they compute in half precision is computed in float32: each converter rounds halves elsewhere, and most engines'
kernels take none.

A function is traced once (``jax.make_jaxpr``). Neither LiteRT's converter nor PyTorch takes its loops, branches and
calls as they are; and both write a file's weights as they are given them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from edgekit.errors import UsageError

Rule = Callable[[Any, Sequence[Any]], Sequence[Any] | None]

#: Primitives of one repetition of a loop, times its length: more would take converters hours.
_MOST_UNROLLED = 20_000
#: What is worked out may be larger than what it is made of up to this: the rest is left to be made on the device.
_MOST_MADE = 1 << 16
_RANDOM = ("random_", "threefry", "rng_")
_CALLBACKS = ("callback", "debug_print", "infeed", "outfeed", "ffi_call", "custom_partitioning")
_HALVES = ("float16", "bfloat16")
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
#: What calls the one that it holds, and no more. (A reduction by a function of one's own holds one, too.)
_CALLS = frozenset(
    {"call", "checkpoint", "closed_call", "composite", "core_call", "custom_jvp_call", "custom_vjp_call"}
    | {"custom_vjp_call_jaxpr", "jit", "pjit", "remat", "remat2"}
)


def flat_program(function: Callable[..., Any], inputs: Sequence[jax.ShapeDtypeStruct], what: str) -> ClosedJaxpr:
    """*function* of arrays, giving a list of arrays, as one list of primitives.

    Raises:
        UsageError: ``EK-SOURCE``: it draws random numbers, calls Python, or has a loop of unknown length.
    """
    traced = jax.make_jaxpr(function)(*inputs)
    for name in _primitives(traced.jaxpr):
        if name.startswith(_RANDOM):
            message = f"{what} draws random numbers ({name}), which no exported file would draw alike"
            raise UsageError("EK-SOURCE", message, "leave jax.random out in evaluation, or draw before: hand arrays in")
        if any(word in name for word in _CALLBACKS):
            message = f"{what} calls Python while it runs ({name}), and there is none on the device"
            raise UsageError("EK-SOURCE", message, "leave out jax.debug.print, jax.pure_callback and the like")

    def flat(*arrays: Any) -> list[Any]:
        results = _evaluate(traced.jaxpr, traced.consts, arrays, what)
        # What comes out in half precision keeps its type: it is for the caller to refuse.
        pairs = zip(results, traced.out_avals, strict=True)
        return [jnp.asarray(each, aval.dtype) if _is_half(aval.dtype) else each for each, aval in pairs]

    return jax.make_jaxpr(flat)(*inputs)


def rewritten(program: ClosedJaxpr, rules: Mapping[str, Rule]) -> ClosedJaxpr:
    """A flat *program* with other primitives: *rules* give by name what takes the place of an equation.

    A rule takes the equation and its values, and gives its results; None to leave it as it is.
    """
    structs = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in program.in_avals]

    def run(*arrays: Any) -> list[Any]:
        known = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
        known |= dict(zip(program.jaxpr.invars, arrays, strict=True))
        for equation in program.jaxpr.eqns:
            values = [atom.val if isinstance(atom, Literal) else known[atom] for atom in equation.invars]
            rule = rules.get(equation.primitive.name)
            results = None if rule is None else rule(equation, values)
            known |= dict(zip(equation.outvars, _bind(equation, values) if results is None else results, strict=True))
        return [atom.val if isinstance(atom, Literal) else known[atom] for atom in program.jaxpr.outvars]

    return jax.make_jaxpr(run)(*structs)


def _primitives(jaxpr: Jaxpr) -> Iterator[str]:
    """Names of all primitives in *jaxpr* and what it calls."""
    pending = [jaxpr]
    while pending:
        for equation in pending.pop().eqns:
            yield equation.primitive.name
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
                if _is_jaxpr(value):
                    pending.append(_open(value)[0])


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, (Jaxpr, ClosedJaxpr))


def _open(value: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and its constants, whether it is closed or not."""
    return (value.jaxpr, value.consts) if isinstance(value, ClosedJaxpr) else (value, ())


def _evaluate(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], what: str) -> list[Any]:
    """Bind the primitives of *jaxpr* one by one, within and below calls, loops and branches, in float32."""
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, map(_single, consts), strict=True))
    known |= dict(zip(jaxpr.invars, map(_single, arguments), strict=True))

    def read(atom: Any) -> Any:
        return _single(atom.val) if isinstance(atom, Literal) else known[atom]

    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        name, params = equation.primitive.name, equation.params
        inner = next((params[key] for key in _INNER if name in _CALLS and _is_jaxpr(params.get(key))), None)
        if name == "scan":
            results: Sequence[Any] = _unroll(params, values, what)
        elif name == "cond":
            results = _choose(params["branches"], values, what)
        elif name == "while":
            message = f"{what} has a loop whose length depends on values (lax.while_loop)"
            hint = "give it a fixed length: lax.scan, or lax.fori_loop with numbers as bounds"
            raise UsageError("EK-SOURCE", message, hint)
        elif inner is not None:
            results = _evaluate(*_open(inner), values, what)
        else:
            singles = {key: _single_type(value) for key, value in params.items()}
            results = _bind(equation.replace(params=singles), values)
        known |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _is_half(dtype: Any) -> bool:
    return np.dtype(dtype).name in _HALVES


def _single(value: Any) -> Any:
    """*value*, of half precision as float32."""
    if not hasattr(value, "dtype") or not _is_half(value.dtype):
        return value
    if isinstance(value, jax.core.Tracer):
        return lax.convert_element_type(value, np.float32)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(value).astype(np.float32)


def _single_type(parameter: Any) -> Any:
    """A primitive's *parameter*, as it is for float32 where it is the type of half precision."""
    return np.dtype(np.float32) if isinstance(parameter, np.dtype) and _is_half(parameter) else parameter


def _bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    def bind() -> Any:
        return equation.primitive.bind(*values, **equation.params)

    made = sum(int(np.prod(variable.aval.shape)) for variable in equation.outvars)
    given = sum(int(np.prod(np.shape(value))) for value in values)
    if made <= max(given, _MOST_MADE) and not any(isinstance(value, jax.core.Tracer) for value in values):
        with jax.ensure_compile_time_eval():
            results = bind()
    else:
        results = bind()
    return results if equation.primitive.multiple_results else [results]


def _unroll(params: dict[str, Any], values: Sequence[Any], what: str) -> list[Any]:
    body, length = params["jaxpr"], params["length"]
    steps = length * len(list(_primitives(_open(body)[0])))
    if steps > _MOST_UNROLLED:
        message = f"{what} has a loop of {length:,} steps (lax.scan): unrolled, it is {steps:,} operators"
        raise UsageError("EK-SOURCE", message, "shorten it, or give the model one step, and hand its state in and out")
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    consts, carry, stacked = values[:first], list(values[first:last]), values[last:]
    rows: list[list[Any]] = []
    for index in reversed(range(length)) if params["reverse"] else range(length):
        row = [_row(array, index) for array in stacked]
        results = _evaluate(*_open(body), [*consts, *carry, *row], what)
        carry, made = results[: len(carry)], results[len(carry) :]
        rows.append(made)
    if params["reverse"]:
        rows.reverse()
    columns = [jnp.stack(column) for column in zip(*rows, strict=True)] if rows else []
    return [*carry, *columns]


def _row(array: Any, index: int) -> Any:
    if isinstance(array, jax.core.Tracer):
        return lax.index_in_dim(array, index, 0, keepdims=False)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(array)[index]


def _choose(branches: Sequence[Any], values: Sequence[Any], what: str) -> list[Any]:
    """Both sides of a branch are worked out, and one is taken: primitives have no other effect."""
    which, *arguments = values
    results = [_evaluate(*_open(branch), arguments, what) for branch in branches]
    if len(branches) == 2:
        which = jnp.asarray(which).astype(bool)
    return [lax.select_n(which, *map(jnp.asarray, choices)) for choices in zip(*results, strict=True)]
