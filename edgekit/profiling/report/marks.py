"""How an engine looks in every chart: one colour and one shape, the same in each report."""

from __future__ import annotations

from dataclasses import dataclass

#: Shapes by Vega-Lite's names. Colours are the page's variables ``--engine-1`` and so on, which the style sheet gives
#: a value for light and for dark.
_SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
_KNOWN = (
    "litert",
    "executorch",
    "tflite-runtime",
    "pytorch-mobile",
    "onnxruntime",
    "torch",
    "torch-compile",
    "tensorflow",
)
#: Looks like: the same engine on an accelerator, or in a browser, which no chart has beside it.
_LIKE = {"litert-web": "litert", "litert-webgpu": "litert"}
_CUDA = "-cuda"


@dataclass(frozen=True)
class Mark:
    """What stands for an engine. One on an accelerator is hollow, and else like the same engine on the processor."""

    color: str
    shape: str
    hollow: bool


def mark(engine: str, accelerator: str | None = "cpu") -> Mark:
    """The mark of *engine*. One that edgekit does not know has the mark of one it knows: rows bear their names."""
    base = _LIKE.get(engine, engine).removesuffix(_CUDA)
    place = _KNOWN.index(base) if base in _KNOWN else sum(base.encode()) % len(_KNOWN)
    return Mark(f"var(--engine-{place + 1})", _SHAPES[place], accelerator not in (None, "cpu"))
