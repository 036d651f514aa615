"""PyTorch models as source models: a Python file and the function in it that makes the module."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.determinism import check_repeatable
from edgekit.pipeline.sources.drawn import other_parts
from edgekit.pipeline.sources.outputs import named_tensors
from edgekit.pipeline.sources.rounding import next_floats
from edgekit.pipeline.sources.samples import (
    apart,
    batched_alike,
    check_shapes,
    example_of,
    first_line,
    probes,
    stacked,
)
from edgekit.pipeline.sources.torch_inputs import fitting, in_order
from edgekit.pipeline.sources.torch_state import TorchState, drawing_operators, tensors_of
from edgekit.pipeline.sources.torch_weights import load_weights
from edgekit.pipeline.sources.torchscript import exported_script
from edgekit.pipeline.sources.tracing import check_traceable, code_line
from edgekit.pipeline.work.python_file import load_callable
from edgekit.runtime.samples import Stack
from edgekit.source_kinds import frameworks
from edgekit.tensors import DTYPES, Signature, TensorSpec

#: Where the classes lie that quantized layers and weights are of.
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torchao.")


#: What to do where nobody said what goes in.
TELL = "give --calibration FILE.npy with real samples, ready for the model, or else --shape 1,3,224,224"


class TorchSource:
    """A PyTorch model in evaluation mode and float32; see `edgekit.pipeline.sources.Source`.

    An output without a batch axis, such as a lone number, gets one.

    Attributes:
        module: The model, taking its inputs in signature order.
    """

    framework = "torch"

    def __init__(
        self,
        module: torch.nn.Module,
        inputs: Sequence[TensorSpec],
        what: str,
        *,
        data_names: Sequence[str] = (),
        sample: Mapping[str, np.ndarray] | None = None,
    ):
        """Run *module* once.

        Args:
            inputs: What goes in, in the order in which *module* takes it.
            what: How messages call it.
            data_names: The data's names for *inputs*, where they are others.
            sample: One sample by the data's names; made up when there is none.
        """
        self.module = module
        self.data_names = tuple(data_names or (spec.name for spec in inputs))
        self.example = example_of(inputs, self.data_names, sample)
        self._what = what
        self._state = TorchState(getattr(module, "wrapped", module))  # names are those of the user's own parts
        self._initial = self._state.take()
        try:
            outputs = self._call(_tensors(self.example, inputs))
        except UsageError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            shown = ", ".join(f"{spec.name}: {spec.dtype}{list(spec.shape)}" for spec in inputs)
            message = f"{what} does not take {shown}: {first_line(error)}{code_line(error)}"
            raise UsageError("EK-SOURCE", message, fitting(error, inputs)) from error
        self._bare = tuple(value.ndim == 0 or len(value) != 1 for _, value in outputs)
        specs = (_spec(name, value, bare) for (name, value), bare in zip(outputs, self._bare, strict=True))
        self.signature = Signature(tuple(inputs), tuple(specs))
        self.parameter_count = sum(parameter.numel() for parameter in module.parameters())

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        with one_thread():
            return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        samples = probes(self.signature, inputs)
        example = _tensors(self.example, self.signature.inputs)
        with one_thread():
            written = check_repeatable(
                self._what,
                self._run,
                samples,
                self._state,
                self._initial,
                lambda: drawing_operators(self.module, example),
            )
        check_traceable(self._what, self.torch_module(), example, written)
        self._state.restore(self._initial)

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        def call(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
            return [np.array(value) for _, value in self._call(_tensors(arrays, self.signature.inputs))]

        return not any(self._bare) and batched_alike(self.signature, inputs, call)

    def nudge(self, random: np.random.Generator) -> None:
        with torch.no_grad():
            for weight in (*self.module.parameters(), *self.module.buffers()):
                if weight.dtype == torch.float32 and weight.layout == torch.strided:
                    weight.data = torch.from_numpy(next_floats(weight.numpy(), random))

    def torch_module(self) -> torch.nn.Module:
        example = _tensors(self.example, self.signature.inputs)
        module = self.module
        if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
            module = exported_script(module, example, self._what)
        with torch.no_grad():
            given = module(*example)
        plain = isinstance(given, torch.Tensor) or (
            type(given) in (tuple, list) and all(isinstance(value, torch.Tensor) for value in given)
        )
        return module if plain and not any(self._bare) else _Flat(module, self._bare)

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        values = [value for _, value in self._call(_tensors(arrays, self.signature.inputs))]
        # A copy: what a module returns may be a buffer of its own, which it writes to.
        outputs = [
            np.array(value.numpy()[None] if bare else value.numpy())
            for value, bare in zip(values, self._bare, strict=True)
        ]
        check_shapes(self.signature, outputs)
        return outputs

    def _call(self, tensors: tuple[torch.Tensor, ...]) -> list[tuple[str, torch.Tensor]]:
        with torch.no_grad():
            # A module may return a parameter of its own, which remembers gradients all the same.
            return [(name, value.detach()) for name, value in named_tensors(self.module(*tensors))]


@contextmanager
def one_thread() -> Iterator[None]:
    """One sample gives threads nothing to share but their waiting: ten times slower on two cores that are not idle."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Flat(torch.nn.Module):
    """A module whose outputs, a dict or something nested, become one tuple in signature order.

    Those that are *bare* of a batch axis get one.
    """

    def __init__(self, module: torch.nn.Module, bare: Sequence[bool]):
        super().__init__()
        self.module = module
        self.bare = tuple(bare)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        outputs = named_tensors(self.module(*tensors))
        values = tuple(
            value.unsqueeze(0) if bare else value for (_, value), bare in zip(outputs, self.bare, strict=True)
        )
        return values[0] if len(values) == 1 else values


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``torch`` source.

    Raises:
        UsageError: ``EK-CODE`` (the project's Python failed), ``EK-SOURCE`` (no readable model, or one that does
            not take the inputs), ``EK-DATA`` (the data name other inputs) or ``EK-CHECKPOINT`` (the weights cannot be
            read, do not fit or are not finite).
    """
    if not spec.inputs:
        message = f"{Path(spec.path).name}:{spec.factory} does not say what goes into it"
        raise UsageError("EK-SOURCE", message, TELL)
    module = build_module(spec)
    if spec.made is not None:
        _make_once(module, Path(spec.made))
    return open_module(module.float().eval(), spec, spec.read_sample())


def open_module(
    module: torch.nn.Module, spec: SourceSpec, sample: Mapping[str, np.ndarray] | None, what: str = ""
) -> TorchSource:
    """The source of a *module* that *spec* describes, called *what* in messages; raises what `open_source` raises."""
    what = what or f"{Path(spec.path).name}:{spec.factory}"
    ordered, inputs, data_names = in_order(module, spec.inputs, what)
    return TorchSource(ordered, inputs, what, data_names=data_names, sample=sample)


def build_module(spec: SourceSpec) -> torch.nn.Module:
    """The module that a ``torch`` source's factory makes, with the spec's weights where there are any.

    Raises:
        UsageError: ``EK-CODE`` or ``EK-CHECKPOINT``.
    """
    path = Path(spec.path)
    if spec.factory is None:
        raise UsageError("EK-CODE", f"{path.name} names no function", "write it as model.py:build")
    factory = load_callable(path, spec.factory)
    if isinstance(inspect.unwrap(factory), torch.nn.Module):
        message = f"{path.name}:{spec.factory} is a model, not a function that makes one"
        raise UsageError("EK-CODE", message, f"write one: def make(): return {spec.factory}")
    module = factory()
    if any(kind.__module__.startswith("keras.") for kind in type(module).__mro__):  # on PyTorch, a Module as well
        message = f"{path.name}:{spec.factory}() returned a Keras model"
        hint = "say --framework keras (in a project, framework), or build what model.save('NAME.keras') writes"
        raise UsageError("EK-CODE", message, hint)
    if not isinstance(module, torch.nn.Module):
        message = f"{path.name}:{spec.factory}() returned {type(module).__name__}, not a torch.nn.Module"
        hint = f"return the module; of another framework, name it: --framework {', '.join(frameworks())}"
        raise UsageError("EK-CODE", message, hint)
    _check_is_float(module)
    for name, value in module.state_dict().items():
        if isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
            hint = "call the module once in the function that makes it: module(torch.zeros(…))"
            raise UsageError("EK-CODE", f"the model's {name} has no size yet: a lazy layer waits for an input", hint)
    if spec.weights is not None:
        load_weights(module, Path(spec.weights), spec.trust)
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor) and value.is_meta:
            hint = "make the model on the CPU, and load its trained weights"
            raise UsageError("EK-CODE", f"the model's {name} is on the device 'meta', and has no values", hint)
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise UsageError("EK-CHECKPOINT", f"the model's weights {name} hold NaN or infinity", "train it again")
    return module


def _check_is_float(module: torch.nn.Module) -> None:
    """Refuse what torch or torchao have quantized: no exporter takes their packed weights."""
    parts = [(name, type(part)) for name, part in module.named_modules()]
    parts += [(name, type(value)) for name, value in module.named_parameters()]
    for name, kind in parts:
        if kind.__module__.startswith(_QUANTIZED):
            what = f"{name!r} is" if name else "it is"
            message = f"the model is quantized already: {what} {kind.__module__}.{kind.__qualname__}"
            raise UsageError("EK-SOURCE", message, "give the float model: edgekit quantizes it itself")


def parameters_and_buffers(module: torch.nn.Module) -> Iterator[np.ndarray]:
    """The values of all parameters and buffers, those too that a ``state_dict`` leaves out."""
    for value in itertools.chain(module.parameters(), module.buffers()):
        plain = value.detach().cpu()
        plain = plain.int_repr() if plain.is_quantized else plain.to_dense()
        yield (plain.float() if plain.is_floating_point() else plain).numpy(force=True)


def _make_once(module: torch.nn.Module, path: Path) -> None:
    """Give *module* the tensors that are in the file at *path*; or write it, where it is not there."""
    tensors = tensors_of(module)
    if not path.exists():
        torch.save({name: value.detach() for name, value in tensors.items()}, path)
        return
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if {name: value.shape for name, value in stored.items()} != {name: value.shape for name, value in tensors.items()}:
        raise other_parts("the factory")
    for name, value in stored.items():
        tensors[name].data = value


def _tensors(arrays: Sequence[np.ndarray], specs: Sequence[TensorSpec]) -> tuple[torch.Tensor, ...]:
    """*arrays* as tensors with memory of their own: a module may write to what it is given."""
    return tuple(
        torch.from_numpy(np.array(array, spec.dtype, order="C")) for array, spec in zip(arrays, specs, strict=True)
    )


def dtype_name(value: torch.Tensor) -> str:
    """The numpy name of a tensor's dtype."""
    return str(value.dtype).removeprefix("torch.")


def _spec(name: str, value: torch.Tensor, bare: bool) -> TensorSpec:
    dtype = dtype_name(value)
    if dtype not in DTYPES or value.layout is not torch.strided:
        kind = dtype if value.layout is torch.strided else f"a tensor of layout {value.layout}"
        how = "torch.view_as_real() or .abs()" if value.is_complex() else ".float(), .to_dense()"
        raise UsageError("EK-SOURCE", f"the model's output {name!r} is {kind}", f"convert it in forward(): {how}")
    if not value.numel():
        shown = f"the model's output {name!r} has no values: its shape is {list(value.shape)}"
        raise UsageError("EK-SOURCE", shown, "return what has values")
    return TensorSpec(name, (1, *value.shape) if bare else tuple(value.shape), dtype)
