"""JAX functions and Flax modules as source models: a Python file and the function in it that makes the model.

The factory returns a function of arrays, ``(function, params)`` with params as its first argument, a Flax NNX module,
or ``(module, variables)`` of Flax Linen. What goes in is said by the data, by ``--shape``, or by `jax.ShapeDtypeStruct`
beside the function: ``(function, params, inputs)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from edgekit.errors import UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.drawn import drawn_once
from edgekit.pipeline.sources.jax_program import flat_program
from edgekit.pipeline.sources.matching import Parameters, match
from edgekit.pipeline.sources.rounding import next_floats
from edgekit.pipeline.sources.samples import apart, check_shapes, example_of, first_line, stacked
from edgekit.pipeline.work.python_file import load_callable
from edgekit.runtime.samples import Stack
from edgekit.tensors import DTYPES, Signature, TensorSpec

if TYPE_CHECKING:
    import torch

_RETURNS = (
    "return a function, (function, params), a Flax NNX module, or (module, variables) of Flax Linen; and last "
    "what goes in: a jax.ShapeDtypeStruct, or a tuple or dict of them"
)


@dataclass(frozen=True)
class Made:
    """What a factory made.

    Attributes:
        function: Of one array for each input.
        parameters: What it takes.
        inputs: What the factory says of them, by their names; empty where it does not.
        weights: Every trained array.
    """

    function: Callable[..., Any]
    parameters: Parameters
    inputs: Mapping[str, Any]
    weights: Sequence[Any]


class JaxSource:
    """A function of JAX in float32; see `edgekit.pipeline.sources.Source`.

    Attributes:
        program: The function, traced: its constants are the weights.
    """

    framework = "jax"

    def __init__(self, made: Made, spec: SourceSpec, what: str):
        inputs, self.data_names = _inputs(made, spec, what)
        self.example = example_of(inputs, self.data_names, spec.read_sample())
        structs = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in inputs]
        names: list[str] = []

        def listed(*arrays: Any) -> list[Any]:
            result = made.function(*arrays)
            paths = jax.tree_util.tree_flatten_with_path(result)[0]
            names[:] = distinct(tensor_name(_path(path), "output") for path, _ in paths)
            return [jnp.asarray(value) for _, value in paths]

        try:
            self.program = flat_program(listed, structs, what)
        except UsageError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            shown = ", ".join(f"{each.name}: {each.dtype}{list(each.shape)}" for each in inputs)
            message = f"{what} does not take {shown}: {first_line(error)}"
            hint = "call the function yourself on arrays of these shapes; values are not known while it is traced"
            raise UsageError("EK-SOURCE", message, hint) from error
        outputs = (_spec(*pair) for pair in zip(names, self.program.out_avals, strict=True))
        self.signature = Signature(inputs, tuple(outputs))
        if not self.signature.outputs:
            raise UsageError("EK-SOURCE", f"{what} returns nothing", "return an array, or a tuple or dict of arrays")
        if spec.made is not None:
            kept = drawn_once(list(map(np.asarray, self.program.consts)), Path(spec.made), what)
            self.program = ClosedJaxpr(self.program.jaxpr, kept)
        self.parameter_count = sum(int(np.size(each)) for each in made.weights) or self._constants()
        self._compiled: Callable[..., Any] | None = None

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        """A traced function has neither state nor chance: what it had was refused when it was traced."""

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # its shapes are those of one sample

    def nudge(self, random: np.random.Generator) -> None:
        moved = [self._moved(np.asarray(each), random) for each in self.program.consts]
        self.program = ClosedJaxpr(self.program.jaxpr, moved)
        self._compiled = None

    def torch_module(self) -> torch.nn.Module:
        from edgekit.pipeline.sources.jax_to_torch import rebuild

        with in_singles():
            return rebuild(self.program)

    @staticmethod
    def _moved(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return next_floats(values, random) if values.dtype == np.float32 else values

    def _constants(self) -> int:
        return sum(int(np.size(each)) for each in self.program.consts if jnp.issubdtype(each.dtype, jnp.floating))

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        if self._compiled is None:
            self._compiled = jax.jit(jaxpr_as_fun(self.program))
        shaped = [np.asarray(array, each.dtype) for array, each in zip(arrays, self.signature.inputs, strict=True)]
        with in_singles():
            outputs = [np.asarray(value) for value in self._compiled(*shaped)]
        check_shapes(self.signature, outputs)
        return outputs


def in_singles() -> Any:
    """A context in which JAX makes float32 of Python's numbers, as it does by itself.

    litert-torch 0.10 turns that off for the whole process when it is imported.
    """
    return jax.enable_x64(False)


def open_source(spec: SourceSpec) -> JaxSource:
    """Open a ``jax`` source.

    Raises:
        UsageError: ``EK-CODE`` (the project's Python failed, or made no model), ``EK-SOURCE`` (it does not take the
            inputs, or cannot be traced) or ``EK-DATA`` (the data name other inputs).
    """
    with in_singles():
        return JaxSource(make(spec), spec, f"{Path(spec.path).name}:{spec.factory}")


def make(spec: SourceSpec) -> Made:
    """What the factory of *spec* makes. Raises `UsageError` (``EK-CODE``): that is no model."""
    path = Path(spec.path)
    what = f"{path.name}:{spec.factory}"
    if spec.factory is None:
        raise UsageError("EK-CODE", f"{path.name} names no function", "write it as model.py:build")
    made = load_callable(path, spec.factory)()
    function, *rest = made if isinstance(made, tuple) and made else (made,)
    if not callable(function) or len(rest) > 2:
        raise UsageError("EK-CODE", f"{what}() returned {_shown(made)}", _RETURNS)
    described = [each for each in rest if _are(each, jax.ShapeDtypeStruct)]
    params = [each for each in rest if not _are(each, jax.ShapeDtypeStruct)]
    if len(params) > 1 or len(described) > 1:
        raise UsageError("EK-CODE", f"{what}() returned more than a function, its params and its inputs", _RETURNS)
    inputs = described[0] if described else {}
    if hasattr(function, "init") and hasattr(function, "apply"):  # a module of Flax Linen, or of Haiku
        if not params:
            message = f"{what}() returned a module without its variables"
            raise UsageError("EK-CODE", message, "return (module, variables), with those of module.init() or training")
        apply, variables = function.apply, params[0]
        return _made(lambda *arrays: apply(variables, *arrays), function.__call__, inputs, variables, 0)
    if _is_nnx(function):
        return _nnx(function, inputs)
    if not params:
        return _made(function, function, inputs, (), 0)
    return _made(lambda *arrays: function(params[0], *arrays), function, inputs, params[0], 1)


def _made(call: Callable[..., Any], described: Any, inputs: Any, weights: Any, given: int) -> Made:
    """*call* with the parameters of *described*, less the first *given*."""
    try:
        known = list(inspect.signature(described).parameters.values())[given:]
    except (TypeError, ValueError):
        known = []
    positional = [each for each in known if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    parameters = Parameters(
        tuple(each.name for each in positional),
        tuple(each.name for each in positional if each.default is each.empty),
        more_by_position=not known or any(each.kind is each.VAR_POSITIONAL for each in known),
    )
    leaves = [each for each in jax.tree.leaves(weights) if hasattr(each, "dtype")]
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        names = [*parameters.names, *(f"input_{index}" for index in range(len(parameters.names), len(listed)))]
        named = dict(zip(names, listed, strict=False))
    return Made(call, parameters, named, leaves)


def _nnx(module: Any, inputs: Any) -> Made:
    """A module of Flax NNX in evaluation mode."""
    from flax import nnx

    if hasattr(module, "eval"):
        module.eval()
    graph, state = nnx.split(module)
    weights = [leaf for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))]
    return _made(lambda *arrays: nnx.merge(graph, state)(*arrays), module.__call__, inputs, weights, 0)


def _is_nnx(value: Any) -> bool:
    return any(kind.__module__.startswith("flax.nnx") for kind in type(value).__mro__)


def _are(value: Any, kind: type) -> bool:
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(isinstance(each, kind) for each in leaves)


def _inputs(made: Made, spec: SourceSpec, what: str) -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
    """What goes in, in the function's order, and the data's names for it."""
    own = {name: TensorSpec(name, tuple(each.shape), _dtype(each.dtype)) for name, each in made.inputs.items()}
    for each in own.values():
        if not each.shape or each.shape[0] != 1:
            message = f"{what} says its input {each.name!r} has the shape {list(each.shape)}"
            raise UsageError("EK-SOURCE", message, "files take one sample at a time: a first dimension of 1")
    given = [each.name for each in spec.inputs] or list(own)
    if not given:
        hint = (
            "give --shape 1,3,224,224 or --calibration FILE.npy, or return (function, params, jax.ShapeDtypeStruct(…))"
        )
        raise UsageError("EK-SOURCE", f"{what} does not say what goes into it", hint)
    targets = match(given, made.parameters, what)
    by_name = {each.name: each for each in spec.inputs} or own
    pairs = sorted(zip(targets, given, strict=True), key=lambda pair: pair[0].position)
    specs = []
    for target, name in pairs:
        described = own.get(target.name or name, by_name[name])
        kept = name if len(pairs) == 1 and spec.inputs else target.name or name
        specs.append(TensorSpec(kept, described.shape, _dtype(described.dtype)))
    return tuple(specs), tuple(name for _, name in pairs)


def _dtype(dtype: Any) -> str:
    """The type that JAX computes with where it is given *dtype*: without 64 bits, unless they are switched on."""
    return str(jax.dtypes.canonicalize_dtype(dtype))


def _spec(name: str, value: Any) -> TensorSpec:
    shape, dtype = tuple(value.shape), str(value.dtype)
    if dtype not in DTYPES:
        raise UsageError("EK-SOURCE", f"the model's output {name!r} is {dtype}", "convert it: .astype(jnp.float32)")
    if not shape or shape[0] != 1 or 0 in shape:
        message = f"the model's output {name!r} has the shape {list(shape)}: its first axis is not that of one sample"
        raise UsageError("EK-SOURCE", message, "keep the axis of samples first to the end")
    return TensorSpec(name, shape, dtype)


def _path(path: Sequence[Any]) -> str:
    """Where an output lies in what the function returned: ``output``, ``output_1``, ``boxes``, ``p3.box``."""
    name = ""
    for part in path:
        index = getattr(part, "idx", None)
        key = getattr(part, "key", getattr(part, "name", None))
        name = f"{name or 'output'}_{index}" if index is not None else f"{name}.{key}".lstrip(".")
    return name or "output"


def _shown(value: Any) -> str:
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else type(value).__name__
