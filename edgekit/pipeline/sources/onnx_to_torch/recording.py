"""Computing an ONNX graph while writing down, as a ``torch.fx`` graph, what depends on the model's inputs.

Operators are plain torch code. What they are given is either a tensor, where the graph says what it is, or a `Traced`
one that stands for what an input reaches. Torch computes the first kind at once, so that constants and shapes are
folded as a graph is read; of the second kind every call becomes a node of the new graph, and is computed on an example
besides, by which shapes and dtypes are known.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node, Proxy
from torch.fx.node import Argument, Target, map_aggregate
from torch.fx.proxy import GraphAppendingTracer

from edgekit.pipeline.sources.onnx_to_torch.tensors import marked, narrow_of

_UNSAFE = re.compile(r"\W+")
#: A name of a node is a path: the last parts of it, and no more characters than that, are kept.
_PARTS, _CHARACTERS = 2, 60
#: Names that a module has anyway, and that no part of it may take.
_TAKEN = (
    frozenset(dir(torch.nn.Module()))
    | frozenset(dir(torch))
    | frozenset(dir(builtins))
    | {"self", "graph", "code", "inf", "nan", "device"}
)


class Traced(Proxy):
    """What depends on the model's inputs: a tensor, or a tuple of tensors.

    Attributes:
        example: What it is for the example that the model is read with.
    """

    example: Any

    def __init__(self, node: Node, tracer: Recorder, example: Any):
        super().__init__(node, tracer)
        self.example = example

    @property
    def shape(self) -> torch.Size:
        return self.example.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.example.dtype

    @property
    def ndim(self) -> int:
        return int(self.example.ndim)

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return int(self.example.numel())

    def is_floating_point(self) -> bool:
        return bool(self.example.is_floating_point())

    def is_complex(self) -> bool:
        return bool(self.example.is_complex())

    def __len__(self) -> int:
        return len(self.example)

    def __iter__(self) -> Iterator[Traced]:
        return (self[index] for index in range(len(self.example)))


class Recorder(GraphAppendingTracer):
    """The graph that is being written, and the module that holds its parts."""

    def __init__(self) -> None:
        super().__init__(Graph())
        self.root = torch.nn.Module()
        self._constants: dict[int, tuple[torch.Tensor, str]] = {}
        self._names: dict[int, tuple[torch.Tensor, str]] = {}
        self._modules: dict[int, str] = {}
        self._parameters: dict[Any, tuple[torch.Tensor, torch.nn.Parameter]] = {}
        #: Of the ONNX node that is computed now: what its nodes are called, and what they are from.
        self.label = ""

    def input(self, name: str, example: torch.Tensor) -> Traced:
        """A new input of the module."""
        node = self.graph.placeholder(safe_name(name, "input"))
        node.meta["onnx_input"] = name
        traced, narrow = Traced(node, self, example), narrow_of(example)
        return traced if narrow is None else marked(traced, narrow)

    def call(self, module: torch.nn.Module, *args: Any) -> Any:
        """What *module*, which becomes a part of the new one, gives for *args*."""
        if not any(isinstance(each, Traced) for each in args):
            with torch.no_grad():
                return module(*args)
        module = module.eval().requires_grad_(False)
        name = self._modules.get(id(module))
        if name is None:
            name = self._fresh(self.label, type(module).__name__.lower())
            self.root.add_module(name, module)
            self._modules[id(module)] = name
        return self.create_proxy("call_module", name, args, {})

    def named(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        """*tensor*, which the new module will keep as *name* if it needs it."""
        self._names[id(tensor)] = (tensor, name)
        return tensor

    def parameter(self, tensor: torch.Tensor) -> torch.nn.Parameter:
        """*tensor* as the weights of a module; the same object for the same weights, which a file then has once."""
        key = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if key not in self._parameters:
            made = torch.nn.Parameter(tensor.detach().clone(memory_format=torch.contiguous_format), requires_grad=False)
            self._parameters[key] = (tensor, made)  # kept, so that its memory is not another's
        return self._parameters[key][1]

    def finish(self, outputs: tuple[Any, ...]) -> GraphModule:
        """The module that gives *outputs*, in order: one tensor or a tuple of them."""
        result = self.create_arg(outputs[0] if len(outputs) == 1 else outputs)
        self.graph.output(result)
        module = GraphModule(self.root, self.graph, "Imported")
        module.graph.eliminate_dead_code()
        module.delete_all_unused_submodules()
        return module.eval()

    # What torch.fx calls.

    def create_proxy(
        self,
        kind: str,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Proxy:
        example = self._compute(kind, target, *map_aggregate((args, kwargs), _example))
        node = self.create_node(
            kind,
            target,
            self.create_arg(args),
            self.create_arg(kwargs),
            safe_name(self.label, "value") if self.label else None,
        )
        node.meta["onnx_node"] = self.label
        if isinstance(example, torch.Tensor):
            node.meta["rank"] = example.ndim
        return Traced(node, self, example)

    def create_arg(self, a: Any) -> Argument:
        if isinstance(a, torch.Tensor):
            return self.create_node("get_attr", self._constant(a), (), {})
        return super().create_arg(a)

    def _compute(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any:
        with torch.no_grad():
            if kind == "call_function":
                return target(*args, **kwargs)
            if kind == "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            return self.root.get_submodule(target)(*args, **kwargs)

    def _constant(self, tensor: torch.Tensor) -> str:
        """The name of *tensor* in the module: a parameter if it may have been trained, else a buffer."""
        if id(tensor) not in self._constants:
            wanted = self._names[id(tensor)][1] if id(tensor) in self._names else self.label
            name = self._fresh(wanted, "constant")
            plain = tensor.detach()
            if plain.is_floating_point() and plain.numel() > 1:
                self.root.register_parameter(name, torch.nn.Parameter(plain.contiguous(), requires_grad=False))
            else:
                self.root.register_buffer(name, plain.contiguous())
            self._constants[id(tensor)] = (tensor, name)
        return self._constants[id(tensor)][1]

    def _fresh(self, wanted: str, default: str) -> str:
        name = stem = safe_name(wanted, default)
        number = 0
        while hasattr(self.root, name):
            number += 1
            name = f"{stem}_{number}"
        return name


def _example(value: Any) -> Any:
    return value.example if isinstance(value, Traced) else value


def inputs_of(value: Traced) -> list[str]:
    """Names of the model's inputs that *value* is computed from."""
    found: dict[str, None] = {}
    seen, left = set[Node](), [value.node]
    while left:
        node = left.pop()
        if node not in seen:
            seen.add(node)
            left += node.all_input_nodes
            if node.op == "placeholder":
                found[node.meta["onnx_input"]] = None
    return list(found)


def is_traced(*values: Any) -> bool:
    """Whether any of *values* depends on the model's inputs."""
    return any(isinstance(each, Traced) for each in values)


def safe_name(wanted: str, default: str) -> str:
    """*wanted* as the name of a variable in Python, which no module has yet."""
    kept = "/".join([part for part in wanted.split("/") if part][-_PARTS:])
    name = _UNSAFE.sub("_", kept).strip("_").lower()[-_CHARACTERS:].strip("_") or default
    if name[0].isdigit():
        name = f"{default}_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN else name
