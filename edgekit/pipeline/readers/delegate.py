"""What every reader of a delegate's part of a ``.pte`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.pipeline.readers.facts import Call, Constant


@dataclass(frozen=True)
class Delegate:
    """One part of a model that runs inside an accelerated backend.

    Attributes:
        calls: Its operators, under the backend's own names; what the backend adds for itself is left out.
        constants: By what tells them apart: a constant that several delegates share counts once.
        kinds: Kinds of operator (see `edgekit.pipeline.readers.facts.FileFacts`) by name.
        arena_bytes: The most that intermediate values take at one time; None where that is not known.
    """

    calls: tuple[Call, ...]
    constants: Mapping[str, Constant]
    kinds: Mapping[str, str]
    arena_bytes: int | None = None
