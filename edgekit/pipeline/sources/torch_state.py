"""What a PyTorch module keeps between calls: its buffers, and whatever else hangs on it and its parts."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: What `torch.nn.Module` itself keeps in every module.
_OWN = frozenset(vars(torch.nn.Module()))
_SCALARS = (bool, int, float, complex, str, bytes, type(None))


@dataclass(frozen=True)
class Taken:
    """What a module kept at one time.

    Attributes:
        values: Copies, by module and name. They share what the originals shared.
        versions: How often each parameter was written to in place.
    """

    values: Mapping[tuple[int, str], Any]
    versions: Mapping[str, int]


class TorchState:
    """The `edgekit.pipeline.sources.determinism.State` of a module."""

    def __init__(self, module: torch.nn.Module):
        self._parts = dict(module.named_modules())
        self._parameters = dict(module.named_parameters())

    def take(self) -> Taken:
        return Taken(self._copy(self._values()), self._versions())

    def restore(self, taken: Taken) -> None:
        if not any(self.differences(taken).values()):
            return
        values = self._copy(dict(taken.values))
        for number, part in enumerate(self._parts.values()):
            kept = {name: value for (at, name), value in values.items() if at == number}
            for name in [*part._buffers, *_attributes(part)]:
                if name not in kept:
                    delattr(part, name)
            for name, value in kept.items():
                (part._buffers if name in part._buffers else part.__dict__)[name] = value

    def differences(self, taken: Taken) -> Mapping[str, list[str]]:
        now = self._values()
        named: dict[str, list[str]] = {}
        for at, name in dict.fromkeys([*taken.values, *now]):
            before, after = taken.values.get((at, name), _MISSING), now.get((at, name), _MISSING)
            if not _same(before, after, set()):
                prefix, part = list(self._parts.items())[at]
                kind = "buffer" if name in part._buffers else "attribute"
                named.setdefault(kind, []).append(f"{prefix}.{name}".lstrip("."))
        written = [name for name, version in self._versions().items() if version != taken.versions[name]]
        return {**named, **({"parameter": written} if written else {})}

    def _values(self) -> dict[tuple[int, str], Any]:
        return {
            (number, name): value
            for number, part in enumerate(self._parts.values())
            for name, value in [*part._buffers.items(), *_attributes(part).items()]
        }

    def _versions(self) -> dict[str, int]:
        return {name: parameter._version for name, parameter in self._parameters.items()}

    def _copy(self, values: Mapping[tuple[int, str], Any]) -> dict[tuple[int, str], Any]:
        """A deep copy, but for modules and parameters; what cannot be copied is left out."""
        memo: dict[int, Any] = {id(each): each for each in (*self._parts.values(), *self._parameters.values())}
        copies = {}
        for key, value in values.items():
            try:
                copies[key] = copy.deepcopy(value, memo)
            except Exception:  # somebody else's object may raise anything: it is compared with itself
                copies[key] = value
        return copies


def tensors_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All tensors of *module* by name: parameters, buffers, those too that a ``state_dict`` leaves out, attributes."""
    found = dict[str, torch.Tensor]()
    for prefix, part in module.named_modules():
        held = {**part._parameters, **part._buffers, **_attributes(part)}
        found |= {f"{prefix}.{name}": value for name, value in held.items() if isinstance(value, torch.Tensor)}
    return found


def drawing_operators(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[str, ...]:
    """Names of the operators that draw random numbers when *module* is called, as ``rand`` or ``bernoulli_``."""
    found: dict[str, None] = {}

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if torch.Tag.nondeterministic_seeded in function.tags:
                found[function._schema.name.partition("::")[2].strip("_")] = None
            return function(*args, **(kwargs or {}))

    with torch.no_grad(), Recorder():
        module(*inputs)
    return tuple(found)


def _attributes(part: torch.nn.Module) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(part).items()
        if name not in _OWN and not callable(value) and not isinstance(value, torch.nn.Module)
    }


_MISSING = object()


def _same(one: Any, other: Any, seen: set[tuple[int, int]]) -> bool:
    """Whether two values hold the same numbers, however they are nested. What cannot be looked into is the same."""
    if one is other or (id(one), id(other)) in seen:
        return True
    if one is _MISSING or other is _MISSING or type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return _same_tensors(one, other)
    if isinstance(one, _SCALARS):
        return bool(one == other or (one != one and other != other))
    seen.add((id(one), id(other)))
    parts, others = list(_parts_of(one)), list(_parts_of(other))
    return len(parts) == len(others) and all(
        key == name and _same(part, value, seen) for (key, part), (name, value) in zip(parts, others, strict=True)
    )


def _same_tensors(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.layout != torch.strided or torch.equal(one, other):
        return True
    return one.is_floating_point() and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


def _parts_of(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (list, tuple, deque)):
        yield from enumerate(value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield (key if isinstance(key, _SCALARS) else None), part
    elif hasattr(value, "__dict__") and type(value).__module__.partition(".")[0] != "torch":
        yield from vars(value).items()  # graphs and the like of torch's own are no state
