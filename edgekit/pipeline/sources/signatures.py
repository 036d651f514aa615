"""Which of several signatures of a model is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.errors import UsageError, did_you_mean
from edgekit.pipeline.sources import SourceSpec
from edgekit.registry import import_name
from edgekit.runtime.contents.refusal import Malformed
from edgekit.source_kinds import SOURCE_KINDS

#: What a signature is called that nobody gave a name.
USUAL = ("serving_default", "forward", "__call__")


def chosen(spec: SourceSpec) -> SourceSpec:
    """*spec* with the signature that is built of its file; as it is where only the framework can tell what there is.

    Raises:
        UsageError: ``EK-ARGUMENT``: no signature of that name, or several and none was named.
    """
    kind, path = SOURCE_KINDS[spec.kind], Path(spec.path)
    if spec.signature is not None and not kind.has_signatures:
        message = f"{kind.title} has one signature, and {spec.signature!r} chooses nothing"
        raise UsageError("EK-ARGUMENT", message, "leave --signature out")
    if not kind.signatures or spec.factory is not None:
        return spec
    try:
        found: Sequence[str] = import_name(kind.signatures)(path)
    except (Malformed, OSError):  # it is trusted, and its framework reads it
        return spec
    if not found and spec.signature is None:
        return spec
    return replace(spec, signature=choose(path.name, found, spec.signature))


def choose(what: str, found: Sequence[str], wanted: str | None) -> str:
    """The signature called *wanted*, or with None the only or usual one.

    Args:
        what: How a message calls the model.
        found: All that it has.

    Raises:
        UsageError: As `chosen`.
    """
    listed = ", ".join(found)
    if wanted is not None:
        if wanted in found:
            return wanted
        hint = did_you_mean(wanted, found) if found else "it has none: leave --signature out"
        raise UsageError("EK-ARGUMENT", f"{what} has no signature {wanted!r}", hint)
    if len(found) == 1:
        return found[0]
    usual = next((name for name in USUAL if name in found), None)
    if usual is None:
        message = f"{what} has the signatures {listed}"
        raise UsageError("EK-ARGUMENT", message, "choose one: --signature NAME, or model.signature in edgekit.toml")
    return usual
