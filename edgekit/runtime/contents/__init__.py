"""What a model file holds, read by readers of our own before any library sees a byte of it.

Hashes say that a file is the one that was packed, not who packed it, and the libraries that load models do more than
compute: they unpickle, import, open files, and believe every number. So a file is read here first, as data, and refused
when it holds anything but what `edgekit.runtime.contents.allowed` lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from edgekit.bundle import Bundle
from edgekit.errors import BundleError
from edgekit.formats import FORMATS
from edgekit.manifest import Variant
from edgekit.runtime.contents.refusal import Malformed, Refused

__all__ = ["Contents", "Malformed", "Refused", "check", "checked", "read_variant"]


@dataclass(frozen=True)
class Contents:
    """A checked model file.

    Attributes:
        data: What a library may see of it: the file itself, or a new archive of what was checked in it.
        operators: Its operators, layers or classes, in the file's own order and names.
    """

    data: bytes | memoryview
    operators: tuple[str, ...]


def check(data: bytes, format: str) -> Contents:
    """Read and check a model file. One of a format that is not edgekit's own is taken as it is.

    Raises:
        Refused: It holds something that is not on its format's allow-list (an operator, a layer, a class, a backend, a
            file), or keeps a part of itself in other files.
        Malformed: It is damaged, or not of that format.
    """
    known = FORMATS.get(format)
    if known is None or known.contents is None:
        return Contents(data, ())
    found = import_module(known.contents).read(data)
    return Contents(found.data, found.operators)


def checked(data: bytes, format: str, name: str | None = None) -> Contents:
    """`check` for a file of a bundle.

    Args:
        name: What the file is called towards the user.

    Raises:
        BundleError: ``EK-CONTENTS``: it holds something that is not on its format's allow-list; ``EK-BUNDLE``: it is
            damaged, or not of that format.
    """
    called = name or f"the .{format} file"
    try:
        return check(data, format)
    except Refused as error:
        message = f"{called} is refused: {error}: this {error.does}"
        hint = (
            "a model file of edgekit build holds nothing of that kind: ask where this one is from, and build it again"
        )
        raise BundleError("EK-CONTENTS", message, hint) from error
    except Malformed as error:
        message = f"{called} is damaged, or no .{format} file: {error}"
        raise BundleError("EK-BUNDLE", message, "copy or build the bundle again") from error


def read_variant(bundle: Bundle, variant: Variant) -> Contents:
    """The file of *variant*, whose hash is right, checked.

    Raises:
        BundleError: As `checked`, or the file does not match its hash.
    """
    return checked(bundle.read(variant.file), variant.format, variant.name)
