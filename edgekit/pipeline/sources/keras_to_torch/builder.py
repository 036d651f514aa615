"""The builder: turns a Keras graph into a torch.fx graph, one operation after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import torch
from torch import fx, nn

from edgekit.errors import ConversionError

#: Class of a Keras operation -> function(builder, operation, *inputs) -> output, all of them values.
HANDLERS: dict[type, Callable[..., Any]] = {}


def handles(*classes: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function for exactly these classes of operations, not for what derives from them."""

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        HANDLERS.update(dict.fromkeys(classes, handler))
        return handler

    return register


@dataclass(frozen=True)
class Value:
    """A tensor of the graph being built.

    Attributes:
        node: The node that computes it.
        sample: What it is for one sample of zeros; only shape and dtype are of use.
        rank: Its rank in Keras.
        channels_first: Whether it lies as ``[N, C, H, W]``, and not as Keras has it.
    """

    node: fx.Node
    sample: torch.Tensor
    rank: int
    channels_first: bool = False

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

    def unsupported(self, layer: Any, detail: str = "") -> ConversionError:
        """The error for a layer, or a setting of it, that has no equivalent."""
        described = f"{type(layer).__name__} {layer.name!r}" + (f" with {detail}" if detail else "")
        return ConversionError(
            "EK-UNSUPPORTED",
            f"the Keras layer {described} cannot be turned into PyTorch",
            "build .tflite only (--format tflite), or write the model in PyTorch",
        )

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
        handler = HANDLERS.get(type(operation))
        if handler is None:
            raise self.unsupported(operation)
        if kwargs.get("mask") is not None:
            raise self.unsupported(operation, "a mask")
        if getattr(operation, "data_format", None) == "channels_first":
            raise self.unsupported(operation, "channels first")
        settings = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
        return handler(self, operation, *args, **settings)

    def input(self, tensor: Any) -> Value:
        """The placeholder for a Keras input."""
        shape = (1, *tensor.shape[1:])
        dtype = getattr(torch, keras.backend.standardize_dtype(tensor.dtype))
        return Value(self.graph.placeholder(_identifier(tensor.name)), torch.zeros(shape, dtype=dtype), len(shape))

    def module(self, layer: Any, part: str, make: Callable[[], nn.Module], x: Value) -> Value:
        """*x* through a module made for *part* of *layer*. A layer called again on the same shape shares it."""
        key = (id(layer), part, tuple(x.sample.shape))
        if key not in self._names:
            name = "_".join(filter(None, (_identifier(layer.name), part)))
            while hasattr(self.root, name):
                name += "_"
            self.root.add_module(name, make().eval())
            self._names[key] = name
        module = self.root.get_submodule(self._names[key])
        return Value(self.graph.call_module(self._names[key], (x.node,)), module(x.sample), x.rank, x.channels_first)

    def function(self, function: Callable[..., Any], *args: Any, like: Value) -> Value:
        """*function* of torch applied to values and constants; the result lies as *like* does."""
        node = self.graph.call_function(function, _each(args, "node"))
        sample = function(*_each(args, "sample"))
        return Value(node, sample, like.rank, like.channels_first)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """*x*, as Keras has it, with each sample in another shape."""
        x = self.channels_last(x)
        sample = x.sample.reshape(1, *shape)
        return Value(self.graph.call_method("reshape", (x.node, (-1, *sample.shape[1:]))), sample, sample.ndim)

    def channels_first(self, x: Value, layer: Any) -> Value:
        """*x* as ``[N, C, H, W]``, for *layer*."""
        if x.channels_first:
            return x
        if x.rank not in (3, 4):
            raise self.unsupported(layer, f"an input of rank {x.rank}")
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

    def alike(self, values: Sequence[Value], layer: Any) -> list[Value]:
        """*values* in one layout: channels first where one of them is so and all have one rank."""
        if any(x.channels_first for x in values) and len({x.rank for x in values}) == 1:
            return [self.channels_first(x, layer) for x in values]
        return [self.channels_last(x) for x in values]

    def _relay(self, x: Value, moves: list[tuple[str, tuple[Any, ...]]]) -> None:
        node, sample = x.node, x.sample
        for method, args in moves:
            node, sample = self.graph.call_method(method, (node, *args)), getattr(sample, method)(*args)
        self._relaid[x.node] = Value(node, sample, x.rank, not x.channels_first)
        self._relaid[node] = x


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
