"""Constants as source text: each platform's language writes texts, numbers and lists its own way."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.integration.facts import Facts
from edgekit.schema import conform
from edgekit.tensors import TensorSpec


@dataclass(frozen=True)
class Language:
    """How one language writes what a starter says of a model; see ``languages.toml``."""

    quote: str
    brackets: tuple[str, ...]
    tensor: str
    preparation: str
    image: str
    nothing: str
    call: str
    pair: str
    rank: str
    special: str = ""
    escape: Literal["point", "units"] = "point"
    number: str = "{}"

    def text(self, value: str) -> str:
        """*value* as a literal, whatever is in it."""
        inside = (f"\\{each}" if each in f"{self.special}{self.quote}\\" else each for each in value)
        return f"{self.quote}{''.join(each if each.isprintable() else self._code(each) for each in inside)}{self.quote}"

    def tensors(self, specs: Sequence[TensorSpec]) -> str:
        opening, closing, indent = self.brackets
        rows = (self.tensor.format(name=self.text(spec.name), shape=_listed(spec.shape)) for spec in specs)
        return _rows(opening, rows, closing, indent)

    def single(self, value: float) -> str:
        """The shortest decimal that is *value* in 32 bits."""
        text = str(np.float32(value))
        return self.number.format(text if any(mark in text for mark in ".e") else f"{text}.0")

    def _code(self, character: str) -> str:
        if self.escape == "point":
            return f"\\u{{{ord(character):x}}}"
        units = character.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[start : start + 2].hex()}" for start in range(0, len(units), 2))


LANGUAGES: dict[str, Language] = {
    name: conform(Language, entry)
    for name, entry in tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8")).items()
}


def constants(language: str, facts: Facts) -> dict[str, str]:
    """The values of a spec template's placeholders, as source text."""
    style = LANGUAGES[language]
    preprocessing, image = facts.preprocessing, facts.image
    mean, std = (_listed(map(style.single, values)) for values in (preprocessing.mean, preprocessing.std))
    first, shown = _truth(preprocessing.layout == "channels-first"), style.nothing
    if image is not None:
        shown = style.image.format(**{**vars(image), "resize": _truth(image.resize), "crop": repr(image.crop)})
    return {
        "inputs": style.tensors(facts.signature.inputs),
        "outputs": style.tensors(facts.signature.outputs),
        "preparation": style.preparation.format(
            scale=style.single(preprocessing.scale), mean=mean, std=std, first=first
        ),
        "image": shown,
        "scores": style.text(facts.scores),
        "logits": _truth(facts.logits),
        "labels": _rows("[", map(style.text, facts.labels), "]", "") if facts.labels else "[]",
        "tolerance": style.single(facts.tolerance),
        "preparation_comment": "What becomes of a raw sample: the same as in the training.",
        "image_comment": "The pictures that the model takes." if image else "The model takes no pictures.",
        "logits_comment": "A softmax makes probabilities of them."
        if facts.logits
        else "They are shown as they are: nothing says that a softmax would make probabilities of them.",
    }


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _rows(opening: str, rows: Iterable[str], closing: str, indent: str) -> str:
    return "\n".join([opening, *(f"{indent}    {row}," for row in rows), f"{indent}{closing}"])
