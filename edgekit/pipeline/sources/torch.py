"""PyTorch models as source models: a Python file and the function in it that makes the module, or a ``.pt2`` file."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.exported_program import UNREADABLE, dtype_name, first_line, load_exported
from edgekit.pipeline.sources.python_file import load_callable
from edgekit.tensors import Signature, TensorSpec

_BATCH = 64


class TorchSource:
    """A PyTorch model in evaluation mode and float32; see `edgekit.pipeline.sources.Source`.

    Attributes:
        module: The model, taking its inputs in signature order.
    """

    framework = "torch"

    def __init__(self, module: torch.nn.Module, inputs: Sequence[TensorSpec], origin: str):
        self.module, inputs = _in_order(module, inputs)
        example = _example(inputs, count=1)
        try:
            with torch.no_grad():
                outputs = list(named_tensors(self.module(*example)))
        except UsageError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            raise UsageError(
                "EK-SOURCE",
                f"{origin} does not take {', '.join(f'{spec.name}: {spec.dtype}{list(spec.shape)}' for spec in inputs)}"
                f": {first_line(error)}",
                "make the data's shapes and preprocessing.layout fit the model's forward()",
            ) from error
        self.signature = Signature(tuple(inputs), tuple(_spec(name, value) for name, value in outputs))
        self.parameter_count = sum(parameter.numel() for parameter in module.parameters())
        self._batched: bool | None = None

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = [_tensor(inputs[spec.name], spec.dtype) for spec in self.signature.inputs]
        if self._batched is None:
            self._batched = self._takes_batches()
        step = _BATCH if self._batched else 1
        parts = [self._run([tensor[i : i + step] for tensor in tensors]) for i in range(0, len(tensors[0]), step)]
        return {
            spec.name: np.concatenate([part[index].numpy() for part in parts])
            for index, spec in enumerate(self.signature.outputs)
        }

    def torch_module(self) -> torch.nn.Module:
        with torch.no_grad():
            given = self.module(*_example(self.signature.inputs, count=1))
        plain = isinstance(given, torch.Tensor) or (
            type(given) in (tuple, list) and all(isinstance(value, torch.Tensor) for value in given)
        )
        return self.module if plain else _Flat(self.module)

    def _run(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        with torch.no_grad():
            return [value for _, value in named_tensors(self.module(*tensors))]

    def _takes_batches(self) -> bool:
        """Whether two samples at once give what they give one by one.

        A module that holds a shape of ``[1, …]`` fails, or mixes samples without a word.
        """
        both = _example(self.signature.inputs, count=2)
        apart = [self._run([tensor[i : i + 1] for tensor in both]) for i in range(2)]
        try:
            together = self._run(both)
        except Exception:  # somebody else's code may raise anything; one sample at a time is known to work
            return False
        return all(
            value.shape == (2, *first.shape[1:])
            and torch.allclose(value, torch.cat([first, second]), rtol=1e-3, atol=1e-5, equal_nan=True)
            for value, first, second in zip(together, *apart, strict=True)
        )


class _ByKeyword(torch.nn.Module):
    """A module whose inputs are not the first parameters of its forward()."""

    def __init__(self, module: torch.nn.Module, names: Sequence[str]):
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.module(**dict(zip(self.names, tensors, strict=True)))


class _Flat(torch.nn.Module):
    """A module whose outputs, a dict or something nested, become one tuple in signature order."""

    def __init__(self, module: torch.nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        values = tuple(value for _, value in named_tensors(self.module(*tensors)))
        return values[0] if len(values) == 1 else values


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``torch`` or ``pt2`` source.

    Raises:
        UsageError: ``EK-CODE`` (the project's Python failed), ``EK-SOURCE`` (no readable model, or one that does
            not take the inputs) or ``EK-CHECKPOINT`` (the weights cannot be read, do not fit or are not finite).
    """
    name = Path(spec.path).name
    if spec.kind == "pt2":
        module, inputs = load_exported(Path(spec.path), spec.trust)
        return TorchSource(module, spec.inputs or inputs, name)
    if not spec.inputs:
        raise UsageError(
            "EK-SOURCE",
            f"{name}:{spec.factory} does not say what goes into it",
            "give --calibration FILE.npy: one batch of samples, ready for the model",
        )
    return TorchSource(build_module(spec).float().eval(), spec.inputs, f"{name}:{spec.factory}")


def build_module(spec: SourceSpec) -> torch.nn.Module:
    """The module that a ``torch`` source's factory makes, with the spec's weights where there are any.

    Raises:
        UsageError: ``EK-CODE`` or ``EK-CHECKPOINT``.
    """
    path = Path(spec.path)
    if spec.factory is None:
        raise UsageError("EK-CODE", f"{path.name} names no function", "write it as model.py:build")
    module = load_callable(path, spec.factory)()
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            "EK-CODE",
            f"{path.name}:{spec.factory}() returned {type(module).__name__}, not a torch.nn.Module",
            "return the module; with a Keras model, set the framework to keras",
        )
    if spec.weights is not None:
        _load_weights(module, Path(spec.weights), spec.trust)
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise UsageError("EK-CHECKPOINT", f"the model's weights {name} hold NaN or infinity", "train it again")
    return module


def _load_weights(module: torch.nn.Module, path: Path, trust: bool) -> None:
    if not path.is_file():
        raise UsageError("EK-CHECKPOINT", f"{path} is not a file", "check model.weights in edgekit.toml")
    hint = "save them from this very model: torch.save(model.state_dict(), FILE)"
    checked = contents.weights(path, trust)
    try:
        if checked is None:
            state = torch.load(path, map_location="cpu", weights_only=False)
        else:
            state = torch.load(io.BytesIO(checked), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise UsageError("EK-CHECKPOINT", f"weights {path.name} cannot be read: {first_line(error)}", hint) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError("EK-CHECKPOINT", f"weights {path.name} are not a state_dict", hint)
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    given = {key: tuple(value.shape) for key, value in state.items()}
    wrong = [f"{key} is missing" for key in wanted if key not in given]
    wrong += [f"{key} is unknown" for key in given if key not in wanted]
    wrong += [
        f"{key} is {list(given[key])}, the model's is {list(shape)}"
        for key, shape in wanted.items()
        if given.get(key, shape) != shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UsageError("EK-CHECKPOINT", f"weights {path.name} do not fit the model: {wrong[0]}{more}", hint)
    module.load_state_dict(state)


def _in_order(module: torch.nn.Module, inputs: Sequence[TensorSpec]) -> tuple[torch.nn.Module, tuple[TensorSpec, ...]]:
    """The module and inputs such that ``module(*inputs)`` gives each parameter of forward() its own input."""
    parameters = list(inspect.signature(module.forward).parameters)
    names = [spec.name for spec in inputs]
    if not set(names) <= set(parameters):
        return module, tuple(inputs)  # named by the data: they are in forward()'s order
    ordered = sorted(inputs, key=lambda spec: parameters.index(spec.name))
    names = [spec.name for spec in ordered]
    return (module if parameters[: len(names)] == names else _ByKeyword(module, names)), tuple(ordered)


def _example(inputs: Sequence[TensorSpec], count: int) -> list[torch.Tensor]:
    """Random floats; zeros for integers, which may be indices into anything."""
    draw = np.random.default_rng(0)
    return [
        _tensor(draw.standard_normal((count, *spec.shape[1:])), spec.dtype)
        if np.dtype(spec.dtype).kind == "f"
        else _tensor(np.zeros((count, *spec.shape[1:])), spec.dtype)
        for spec in inputs
    ]


def named_tensors(value: Any, name: str = "output") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in what a module returned, with the names that the signature gives them."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if part is not None:
                yield from named_tensors(part, str(key))
    elif isinstance(value, (tuple, list)):
        parts = [part for part in value if part is not None]
        for index, part in enumerate(parts):
            yield from named_tensors(part, name if len(parts) == 1 else f"{name}_{index}")
    else:
        raise UsageError(
            "EK-SOURCE",
            f"the model's forward() returns {type(value).__name__}, not tensors",
            "return a tensor, or a tuple or dict of tensors",
        )


def _spec(name: str, value: torch.Tensor) -> TensorSpec:
    return TensorSpec(name, tuple(value.shape), dtype_name(value))


def _tensor(array: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype))
