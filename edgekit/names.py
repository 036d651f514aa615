"""What a name may look like, in a bundle and everywhere else.

Names of tensors and classes are a user's own words: printable, of one line and bounded, in any language. Identifiers
name variants, formats, recipes, engines and targets, become paths and code, and have an alphabet. The manifest's schema
holds both rules, and whoever makes names makes them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from edgekit.display import KEPT

MOST_TENSOR_CHARACTERS = 100
MOST_LABEL_CHARACTERS = 200

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_NO_KEPT = str.maketrans("", "", "".join(KEPT))


def is_label(text: str) -> bool:
    """Whether *text* may be the name of a class."""
    return _is_text(text, MOST_LABEL_CHARACTERS)


def is_tensor_name(text: str) -> bool:
    """Whether *text* may be the name of an input, an output, a bundle or a method."""
    return _is_text(text, MOST_TENSOR_CHARACTERS) and not text.endswith(".npy") and "\\" not in text


def is_identifier(text: str) -> bool:
    """Whether *text* may name a variant, a format, a recipe, an engine or a target."""
    return _IDENTIFIER.fullmatch(text) is not None


def tensor_name(wanted: object, default: str) -> str:
    """*wanted* as a name that `is_tensor_name` takes, as close to it as can be; *default* when nothing is left.

    A backslash is a slash in the files of some systems, and numpy takes ``.npy`` off the names in an ``.npz``.
    """
    visible = "".join(each if each.isprintable() or each in KEPT else " " for each in str(wanted))
    name = " ".join(visible.replace("\\", "_").split(" ")).strip()[:MOST_TENSOR_CHARACTERS].strip()
    if name.endswith(".npy"):
        name = name.removesuffix(".npy") + "_npy"
    return name or default


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """*names* with ``_1``, ``_2``, … added to those that were there before; no result equals another."""
    wanted = list(names)
    taken = set(wanted)
    given: set[str] = set()
    result = []
    for name in wanted:
        number = 0
        unique = name
        while unique in given or (number and unique in taken):
            number += 1
            unique = f"{name[: MOST_TENSOR_CHARACTERS - len(str(number)) - 1]}_{number}"
        given.add(unique)
        result.append(unique)
    return tuple(result)


def _is_text(text: str, most: int) -> bool:
    return 0 < len(text) <= most and text == text.strip() and text.translate(_NO_KEPT).isprintable()
