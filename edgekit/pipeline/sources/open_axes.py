"""Axes whose sizes a model file leaves open: one sample at a time, and what ``--shape`` says of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.errors import UsageError
from edgekit.shapes import by_input


def closed(
    what: str, declared: Mapping[str, Sequence[int | None] | None], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """The shape of each input for one sample, as the file has it: where it does not begin with 1, samples have no axis.

    Args:
        what: How a message calls the model.
        declared: Sizes of each input's axes, None for one that is open, or for all of them.
        shapes: What ``--shape`` says.

    Raises:
        UsageError: ``EK-SOURCE``: an axis stays open; ``EK-ARGUMENT``: *shapes* name another input, or another size
            than the file has.
    """
    shapes = by_input(shapes, list(declared))
    if strange := shapes.keys() - declared.keys():
        which = f"has no input {min(strange)!r}" if min(strange) else "has several inputs, and --shape names none"
        message = f"{what} {which}"
        raise UsageError("EK-ARGUMENT", message, f"its inputs are {', '.join(declared)}")
    return {name: _closed(what, name, sizes, shapes.get(name)) for name, sizes in declared.items()}


def _closed(what: str, name: str, sizes: Sequence[int | None] | None, said: tuple[int, ...] | None) -> tuple[int, ...]:
    shown = "unknown" if sizes is None else str([size if size is not None else "?" for size in sizes]).replace("'", "")
    if said is not None:
        fits = sizes is None or len(sizes) == len(said)
        if not fits or any(own not in (None, size) for own, size in zip(sizes or (), said, strict=False)):
            message = f"--shape says {name!r} is {list(said)}, in {what} it is {shown}"
            raise UsageError("EK-ARGUMENT", message, "it gives sizes to open axes alone")
        return said
    if sizes is None or None in sizes[1:]:
        example = "…" if sizes is None else ",".join(str(size or "…") for size in sizes[1:])
        message = f"{name!r} of {what} has shape {shown}: only the batch, which comes first, may be open"
        raise UsageError("EK-SOURCE", message, f"say the others: --shape {name}=1,{example}")
    return tuple(1 if size is None else size for size in sizes)
