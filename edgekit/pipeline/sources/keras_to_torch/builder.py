"""The builder: turns a Keras graph into a torch.fx graph, one operation after the other."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import torch
from torch import fx, nn

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.keras_to_torch.as_it_is import AsItIs, looks_at_masks, makes_masks

#: Class of a Keras operation -> function(builder, operation, *inputs) -> output, all of them values.
HANDLERS: dict[type, Callable[..., Any]] = {}


def handles(*classes: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function for exactly these classes of operations, not for what derives from them."""

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        HANDLERS.update(dict.fromkeys(classes, handler))
        return handler

    return register


class NoEquivalent(Exception):
    """PyTorch has no layer for this layer, or for a setting of it, which is the message; empty for the layer itself."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph being built.

    Attributes:
        node: The node that computes it.
        sample: What it is for one sample of zeros; only shape and dtype are of use.
        rank: Its rank in Keras.
        channels_first: Whether it lies as ``[N, C, H, W]``, and not as Keras has it.
        mask: Which of its steps count, where Keras has a mask for it.
    """

    node: fx.Node
    sample: torch.Tensor
    rank: int
    channels_first: bool = False
    mask: Value | None = None

    @property
    def extent(self) -> tuple[int, ...]:
        """Height and width of a value that lies channels first."""
        return tuple(self.sample.shape[2:])


class Builder:
    """Adds operations to a torch.fx graph, running each on one sample to know the shapes."""

    def __init__(self) -> None:
        self.root = nn.Module()
        self.graph = fx.Graph()
        self._names: dict[tuple[Any, ...], str] = {}
        self._relaid: dict[fx.Node, Value] = {}

    def run(self, graph: keras.Function, inputs: Any) -> Any:
        """Add all of *graph*; values in, values out, in the graph's own structure.

        This is the walk that calling a functional model makes, with another meaning given to each operation. Keras
        has no public way to it.
        """
        return graph._run_through_graph(inputs, operation_fn=lambda operation: partial(self.call, operation))

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what *operation*, a layer, a nested model or one of ``keras.ops``, does to its arguments."""
        nested = operation._functional if isinstance(operation, keras.Sequential) else operation
        if isinstance(nested, keras.Function):
            return self.run(nested, args[0])
        settings = {key: value for key, value in kwargs.items() if key != "training" and value is not None}
        values = [each for each in keras.tree.flatten((args, settings)) if isinstance(each, Value)]
        mask = next((value.mask for value in values if value.mask is not None), None)
        try:
            handler = HANDLERS.get(type(operation))
            if handler is None or _is_off_the_path(operation, settings, mask):
                raise NoEquivalent
            result = handler(self, operation, *args, **settings)
            if mask is not None and getattr(operation, "supports_masking", False):
                result = keras.tree.map_structure(lambda value: replace(value, mask=mask), result)
            return result
        except NoEquivalent as lacking:
            return self._as_it_is(operation, args, settings, str(lacking))

    def _as_it_is(self, operation: Any, args: Any, settings: Mapping[str, Any], lacking: str) -> Any:
        """What *operation* gives where it runs in Keras' own code, in Keras' layout."""
        given = keras.tree.map_structure(
            lambda each: self.channels_last(each) if isinstance(each, Value) else each, (args, dict(settings))
        )
        values = [each for each in keras.tree.flatten(given) if isinstance(each, Value)]
        masks = [value.mask for value in values if value.mask is not None]
        module = AsItIs(operation, given, Value, [value.mask is not None for value in values])
        try:
            samples = module(*(value.sample for value in (*values, *masks)))
        except Exception as error:  # layers raise what they like
            raise _unsupported(operation, lacking, error) from error
        node = self.graph.call_module(
            self._added(operation, "", module), tuple(value.node for value in (*values, *masks))
        )
        results = self._parts(node, samples)
        outputs, found = results[: len(module.masked)], iter(results[len(module.masked) :])
        outputs = [
            replace(output, mask=next(found)) if is_masked else output
            for output, is_masked in zip(outputs, module.masked, strict=True)
        ]
        return keras.tree.pack_sequence_as(module.structure, outputs)

    def input(self, tensor: Any) -> Value:
        """The placeholder for a Keras input."""
        shape = (1, *tensor.shape[1:])
        dtype = getattr(torch, keras.backend.standardize_dtype(tensor.dtype))
        return Value(self.graph.placeholder(_identifier(tensor.name)), torch.zeros(shape, dtype=dtype), len(shape))

    def module(self, layer: Any, part: str, make: Callable[[], nn.Module], x: Value) -> Value:
        """*x* through a module made for *part* of *layer*. A layer called again on the same shape shares it."""
        node, sample = self._through(layer, part, make, [x])
        return Value(node, sample, x.rank, x.channels_first)

    def modules(self, layer: Any, part: str, make: Callable[[], nn.Module], inputs: Sequence[Value]) -> list[Value]:
        """The same for several values, in Keras' layout, and a module that gives a tuple."""
        return self._parts(*self._through(layer, part, make, [self.channels_last(x) for x in inputs]))

    def _parts(self, node: fx.Node, samples: Sequence[torch.Tensor]) -> list[Value]:
        """The tensors in the tuple that *node* gives, in Keras' layout."""
        return [
            Value(self.graph.call_function(operator.getitem, (node, index)), sample, sample.ndim)
            for index, sample in enumerate(samples)
        ]

    def _through(
        self, layer: Any, part: str, make: Callable[[], nn.Module], inputs: Sequence[Value]
    ) -> tuple[fx.Node, Any]:
        key = (id(layer), part, *(tuple(x.sample.shape) for x in inputs))
        if key not in self._names:
            self._names[key] = self._added(layer, part, make().eval())
        module = self.root.get_submodule(self._names[key])
        node = self.graph.call_module(self._names[key], tuple(x.node for x in inputs))
        return node, module(*(x.sample for x in inputs))

    def _added(self, layer: Any, part: str, module: nn.Module) -> str:
        """The name under which *module* now is a part of the model."""
        name = "_".join(filter(None, (_identifier(layer.name), part)))
        while hasattr(self.root, name):
            name += "_"
        self.root.add_module(name, module)
        return name

    def function(self, function: Callable[..., Any], *args: Any, like: Value) -> Value:
        """*function* of torch applied to values and constants; the result lies as *like* does."""
        node = self.graph.call_function(function, _each(args, "node"))
        sample = function(*_each(args, "sample"))
        return Value(node, sample, like.rank, like.channels_first)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """*x*, as Keras has it, with each sample in another shape."""
        x = self.channels_last(x)
        sample = x.sample.reshape(x.sample.shape[0], *shape)
        return Value(self.graph.call_method("reshape", (x.node, (-1, *sample.shape[1:]))), sample, sample.ndim)

    def channels_first(self, x: Value) -> Value:
        """*x* as ``[N, C, H, W]``."""
        if x.channels_first:
            return x
        if x.rank not in (3, 4):
            raise NoEquivalent(f"an input of rank {x.rank}")
        if x.node not in self._relaid:
            *extent, channels = x.sample.shape[1:]
            height, width = extent if x.rank == 4 else (1, extent[0])
            lifted = [("reshape", ((-1, height, width, channels),))] if x.rank == 3 else []
            still = height * width == 1  # nothing has to move
            flat = ("reshape", ((-1, channels, 1, 1),))
            moves = [flat] if still else [*lifted, ("permute", (0, 3, 1, 2))]
            self._relay(x, moves)
        return self._relaid[x.node]

    def channels_last(self, x: Value) -> Value:
        """*x* as Keras has it."""
        if not x.channels_first:
            return x
        if x.node not in self._relaid:
            shaped = ("reshape", ((-1, *x.extent[4 - x.rank :], x.sample.shape[1]),))
            lowered = [shaped] if x.rank == 3 else []
            still = x.extent == (1, 1)
            moves = [shaped] if still else [("permute", (0, 2, 3, 1)), *lowered]
            self._relay(x, moves)
        return self._relaid[x.node]

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """*values* in one layout: channels first where one of them is so and all have one rank."""
        if any(x.channels_first for x in values) and len({x.rank for x in values}) == 1:
            return [self.channels_first(x) for x in values]
        return [self.channels_last(x) for x in values]

    def _relay(self, x: Value, moves: list[tuple[str, tuple[Any, ...]]]) -> None:
        node, sample = x.node, x.sample
        for method, args in moves:
            node, sample = self.graph.call_method(method, (node, *args)), getattr(sample, method)(*args)
        self._relaid[x.node] = Value(node, sample, x.rank, not x.channels_first)
        self._relaid[node] = x


def _is_off_the_path(operation: Any, settings: Mapping[str, Any], mask: Value | None) -> bool:
    """Whether the handler for *operation* does not know of how it is used here."""
    if getattr(operation, "data_format", None) == "channels_first" or makes_masks(operation):
        return True
    if any(name == "mask" or name.endswith("_mask") for name, value in settings.items() if isinstance(value, Value)):
        return True
    return mask is not None and looks_at_masks(operation)


def _unsupported(layer: Any, lacking: str, error: Exception) -> ConversionError:
    """The error for a layer, or a setting of it, that neither has an equivalent nor runs as it is."""
    described = f"{type(layer).__name__} {layer.name!r}" + (f" with {lacking}" if lacking else "")
    # Keras puts a line before what was raised, in colours, and the arguments behind.
    said = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    reason = next((line for line in said if not line.startswith("Exception encountered")), type(error).__name__)
    return ConversionError(
        "EK-UNSUPPORTED",
        f"the Keras layer {described} cannot be turned into PyTorch: {reason[:200]}",
        "build .tflite only (--format tflite), or write the layer with keras.ops",
    )


def _each(args: Any, attribute: str) -> Any:
    """*args* with an attribute of each value in the value's place."""
    if isinstance(args, Value):
        return getattr(args, attribute)
    if isinstance(args, (list, tuple)):
        return type(args)(_each(item, attribute) for item in args)
    return args


def _identifier(name: str) -> str:
    name = re.sub(r"\W", "_", name)
    return name if name.isidentifier() else f"_{name}"
