"""Trained weights for a module that a factory made: read as data, found in what is around them, and fitted by name."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from edgekit.errors import UsageError
from edgekit.pipeline.sources import contents
from edgekit.pipeline.sources.samples import first_line
from edgekit.runtime.contents.safetensors import is_safetensors

State = Mapping[str, torch.Tensor]

#: What torch 2.13 raises for a file that is cut short, is no archive, or holds other things than tensors.
UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile, SafetensorError,
)  # fmt: skip
_HINT = "save them from this very model: torch.save(model.state_dict(), FILE)"
#: Of a batch norm: torch added it to them in 0.4.1, and it counts for nothing in evaluation mode.
_COUNTER = "num_batches_tracked"
_MOST_NAMED = 3


def load_weights(module: torch.nn.Module, path: Path, trust: bool) -> None:
    """Give *module* the weights in the file at *path*.

    They may lie in a checkpoint of training beside other things (``state_dict``, ``model``), and have a prefix that the
    module's names lack (``module.``, ``model.``), or the other way round.

    Raises:
        UsageError: ``EK-CHECKPOINT``: they cannot be read, or are another model's: the names that are missing, unknown
            or of another shape; ``EK-CONTENTS``: the file holds more than data.
    """
    if not path.is_file():
        raise UsageError("EK-CHECKPOINT", f"{path} is not a file", "check model.weights in edgekit.toml")
    wanted = {key: value for key, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    found = list(_states(_read(path, trust)))
    if not found:
        raise UsageError("EK-CHECKPOINT", f"weights {path.name} are not a state_dict", _HINT)
    fits = [fit for position, state in found for fit in _fits(wanted, position, state)]
    right = [fit for fit in fits if not fit.wrong]
    if not right:
        nearest = min(fits, key=lambda fit: len(fit.wrong))
        position = f" ({nearest.position!r} in it)" if nearest.position else ""
        message = f"weights {path.name}{position} do not fit the model: {nearest.shown()}"
        raise UsageError("EK-CHECKPOINT", message, _HINT)
    if len({fit.position for fit in right}) > 1:
        positions = " and ".join(repr(fit.position) for fit in right)
        message = f"weights {path.name} hold more than one set that fits the model: {positions}"
        raise UsageError("EK-CHECKPOINT", message, "save the one that you mean: torch.save(checkpoint[NAME], FILE)")
    module.load_state_dict(right[0].state)


def _read(path: Path, trust: bool) -> Any:
    checked = contents.weights(path, trust)
    try:
        data = path.read_bytes() if checked is None else checked
        if is_safetensors(data):
            return safetensors.torch.load(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=checked is not None)
    except UNREADABLE as error:
        message = f"weights {path.name} cannot be read: {first_line(error)}"
        raise UsageError("EK-CHECKPOINT", message, _HINT) from error


def _states(value: Any, position: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every ``state_dict`` in *value*, by where it lies: the whole, or below keys, as trainers write checkpoints."""
    if isinstance(value, torch.nn.Module):  # a trusted one, pickled whole
        value = value.state_dict()
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return
    tensors = {key: part for key, part in value.items() if isinstance(part, torch.Tensor)}
    if tensors and len(tensors) == len(value):
        yield position, tensors
    elif depth < 2:
        for key, part in value.items():
            yield from _states(part, f"{position}.{key}".lstrip("."), depth + 1)


@dataclass(frozen=True)
class _Fit:
    """One way to name weights: *state* for the module, and what is *wrong* with it."""

    position: str
    state: State
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> tuple[str, ...]:
        return (*self.missing, *self.unknown, *self.others)

    def shown(self) -> str:
        parts = [
            *(f"{key} {how}" for key, how in self.others.items()),
            *_listed(self.missing, "missing"),
            *_listed(self.unknown, "unknown"),
        ]
        more = f" (and {len(parts) - _MOST_NAMED} more)" if len(parts) > _MOST_NAMED else ""
        return "; ".join(parts[:_MOST_NAMED]) + more


def _listed(keys: Iterable[str], what: str) -> list[str]:
    named = list(keys)
    if not named:
        return []
    more = f" and {len(named) - _MOST_NAMED} more are {what}" if len(named) > _MOST_NAMED else ""
    shown = ", ".join(named[:_MOST_NAMED])
    return [shown + (more or (f" is {what}" if len(named) == 1 else f" are {what}"))]


def _fits(wanted: State, position: str, state: State) -> Iterator[_Fit]:
    """*state* as it is, then without each prefix that its names may have, then with each that the module's have."""
    yield _fit(wanted, position, state)
    if not wanted or not state:
        return
    for prefix in _prefixes(wanted, state):  # what has another is of the training around the model
        yield _fit(
            wanted, position, {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        )
    for prefix in _prefixes(state, wanted):
        yield _fit(wanted, position, {prefix + key: value for key, value in state.items()})


def _prefixes(short: Iterable[str], long: Iterable[str]) -> list[str]:
    """What precedes the first name of *short* in names of *long*."""
    first = next((key for key in short if not key.endswith(_COUNTER)), "")
    return [key[: -len(first)] for key in long if first and key.endswith(f".{first}")]


def _fit(wanted: State, position: str, given: State) -> _Fit:
    state = dict(given)
    present = {_storage(wanted[key]): key for key in wanted if key in state}
    for key, value in wanted.items():
        twin = present.get(_storage(value))
        if key not in state and twin is not None:  # tied: safetensors keeps one of them
            state[key] = state[twin]
        elif key not in state and key.endswith(_COUNTER):
            state[key] = value
    others = {
        key: f"is {list(state[key].shape)}, the model's is {list(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    }
    missing = tuple(key for key in wanted if key not in state)
    return _Fit(position, state, missing, tuple(key for key in state if key not in wanted), others)


def _storage(value: torch.Tensor) -> tuple[int, int, torch.Size, tuple[int, ...]]:
    """What two names of one tensor have in common. (One on ``meta``, or without values, has no place: itself.)"""
    if value.is_meta or value.layout is not torch.strided or not value.numel():
        return (id(value), 0, value.shape, ())
    return (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape, value.stride())
