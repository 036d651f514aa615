"""How an engine looks in every chart: one colour and one shape, the same in each report."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.engines import ENGINES

#: Shapes by Vega-Lite's names. Colours are the page's variables ``--engine-1`` and so on, which the style sheet gives
#: a value for light and for dark.
_SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "triangle-right", "triangle-left"]


@dataclass(frozen=True)
class Mark:
    """What stands for an engine. One on an accelerator is hollow, and else like the same engine on the processor."""

    color: str
    shape: str
    hollow: bool


def mark(engine: str, accelerator: str | None = "cpu") -> Mark:
    """The mark of *engine*. One that has none of its own has that of another: rows bear their names."""
    known = ENGINES.get(engine)
    number = ((known and known.mark) or sum(engine.encode())) % len(_SHAPES)
    return Mark(f"var(--engine-{number or len(_SHAPES)})", _SHAPES[number - 1], accelerator not in (None, "cpu"))
