"""What a PyTorch module returns, as tensors with names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from edgekit.errors import UsageError
from edgekit.names import distinct, tensor_name

#: The name of a lone tensor, and of the places of a tuple.
_OUTPUT = "output"


def named_tensors(value: Any) -> list[tuple[str, torch.Tensor]]:
    """The tensors in what a module returned, by the names that the signature gives them.

    A lone tensor is ``output``, those of a tuple are ``output_0``, ``output_1``, …; keys of dicts and fields of named
    tuples are names, and where such lie in each other, the path is: ``p3.box``. No two are the same.

    Raises:
        UsageError: ``EK-SOURCE``: there is something else than tensors in it, or nothing.
    """
    found = list(_walk(value, None))
    if not found:
        raise _no_tensors("nothing", None)
    names = distinct(tensor_name(name, _OUTPUT) for name, _ in found)
    return list(zip(names, (tensor for _, tensor in found), strict=True))


def _walk(value: Any, path: str | None) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield _OUTPUT if path is None else path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _walk(part, f"{key}" if path is None else f"{path}.{key}")
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        yield from _walk(value._asdict(), path)
    elif isinstance(value, (tuple, list)):
        parts = [part for part in value if part is not None]
        for index, part in enumerate(parts):
            yield from _walk(part, path if len(parts) == 1 else f"{_OUTPUT if path is None else path}_{index}")
    elif value is not None:
        raise _no_tensors(type(value).__name__, path)


def _no_tensors(what: str, path: str | None) -> UsageError:
    shown = "" if path is None else f" as {tensor_name(path, _OUTPUT)!r}"
    return UsageError(
        "EK-SOURCE",
        f"the model's forward() returns {what}{shown}, not tensors",
        "return a tensor, or a tuple or dict of tensors",
    )
