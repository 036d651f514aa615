"""Constants as source text: each platform's language writes texts, numbers and lists its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.integration.facts import Facts
from edgekit.tensors import TensorSpec


@dataclass(frozen=True)
class Language:
    """How one language writes the constants that a model's spec is made of."""

    text: Callable[[str], str]
    tensors: Callable[[Sequence[TensorSpec]], str]
    preparation: Callable[[str, list[str], list[str], str], str]
    image: Callable[[str, str, str, str, str], str]
    nothing: str
    number: str = "{}"


def constants(language: str, facts: Facts) -> dict[str, str]:
    """The values of a spec template's placeholders, as source text."""
    style = LANGUAGES[language]
    preprocessing, image = facts.preprocessing, facts.image
    mean, std = ([_single(value) for value in values] for values in (preprocessing.mean, preprocessing.std))
    first = _truth(preprocessing.layout == "channels-first")
    shown = style.nothing
    if image is not None:
        size = (str(image.height), str(image.width), str(image.channels), _truth(image.resize), repr(image.crop))
        shown = style.image(*size)
    return {
        "inputs": style.tensors(facts.signature.inputs),
        "outputs": style.tensors(facts.signature.outputs),
        "preparation": style.preparation(_single(preprocessing.scale), mean, std, first),
        "image": shown,
        "scores": style.text(facts.scores),
        "logits": _truth(facts.logits),
        "labels": _rows("[", [style.text(label) for label in facts.labels], "]", "") if facts.labels else "[]",
        "tolerance": style.number.format(_single(facts.tolerance)),
        "preparation_comment": "What becomes of a raw sample: the same as in the training.",
        "image_comment": "The pictures that the model takes." if image else "The model takes no pictures.",
        "logits_comment": "A softmax makes probabilities of them."
        if facts.logits
        else "They are shown as they are: nothing says that a softmax would make probabilities of them.",
    }


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _single(value: float) -> str:
    """The shortest decimal that is *value* in 32 bits."""
    text = str(np.float32(value))
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def _quoted(quote: str, special: str, code: Callable[[str], str]) -> Callable[[str], str]:
    """Writes texts between *quote*, with a backslash before each of *special* and *code* for what does not print."""

    def text(value: str) -> str:
        inside = (f"\\{each}" if each in special + quote + "\\" else each for each in value)
        return f"{quote}{''.join(each if each.isprintable() else code(each) for each in inside)}{quote}"

    return text


def _point(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def _units(character: str) -> str:
    """As Kotlin has it, which knows units of 16 bits."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _rows(opening: str, rows: Sequence[str], closing: str, indent: str) -> str:
    return "\n".join([opening, *(f"{indent}    {row}," for row in rows), f"{indent}{closing}"])


def _labelled_preparation(scale: str, mean: list[str], std: list[str], first: str) -> str:
    """As Swift and Dart write a call with named arguments."""
    return f"Preparation(scale: {scale}, mean: [{_listed(mean)}], std: [{_listed(std)}], channelsFirst: {first})"


def _labelled_image(height: str, width: str, channels: str, resize: str, crop: str) -> str:
    return f"ImageSize(height: {height}, width: {width}, channels: {channels}, resize: {resize}, crop: {crop})"


_KOTLIN_TEXT = _quoted('"', "$", _units)
_SWIFT_TEXT = _quoted('"', "", _point)
_DART_TEXT = _quoted("'", "$", _point)
_SCRIPT_TEXT = _quoted("'", "", _point)

LANGUAGES = {
    "kotlin": Language(
        text=_KOTLIN_TEXT,
        tensors=lambda specs: _rows(
            "listOf(", [f"TensorInfo({_listed([_KOTLIN_TEXT(s.name), *s.shape])})" for s in specs], ")", "    "
        ),
        preparation=lambda scale, mean, std, first: (
            f"Preparation({scale}f, floatArrayOf({_listed([f'{value}f' for value in mean])}), "
            f"floatArrayOf({_listed([f'{value}f' for value in std])}), channelsFirst = {first})"
        ),
        image=lambda height, width, channels, resize, crop: (
            f"ImageSize({height}, {width}, {channels}, resize = {resize}, crop = {crop})"
        ),
        nothing="null",
        number="{}f",
    ),
    "swift": Language(
        text=_SWIFT_TEXT,
        tensors=lambda specs: _rows(
            "[", [f"TensorInfo(name: {_SWIFT_TEXT(s.name)}, shape: {list(s.shape)})" for s in specs], "]", "    "
        ),
        preparation=_labelled_preparation,
        image=_labelled_image,
        nothing="nil",
    ),
    "dart": Language(
        text=_DART_TEXT,
        tensors=lambda specs: _rows(
            "[", [f"TensorInfo({_DART_TEXT(s.name)}, {list(s.shape)})" for s in specs], "]", ""
        ),
        preparation=_labelled_preparation,
        image=_labelled_image,
        nothing="null",
    ),
    "javascript": Language(
        text=_SCRIPT_TEXT,
        tensors=lambda specs: _rows(
            "[", [f"{{ name: {_SCRIPT_TEXT(s.name)}, shape: {list(s.shape)} }}" for s in specs], "]", ""
        ),
        preparation=lambda scale, mean, std, first: (
            f"{{ scale: {scale}, mean: [{_listed(mean)}], std: [{_listed(std)}], channelsFirst: {first} }}"
        ),
        image=lambda height, width, channels, resize, crop: (
            f"{{ height: {height}, width: {width}, channels: {channels}, resize: {resize}, crop: {crop} }}"
        ),
        nothing="null",
    ),
}
