"""Known symptoms: what converters and engines say of models that they cannot take, in words that help."""

from __future__ import annotations

import re
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import ConversionError, EdgekitError
from edgekit.pipeline.exporters.where import operator, shapes, where
from edgekit.schema import conform

if TYPE_CHECKING:
    from edgekit.pipeline.exporters.culprit import Attempt

_ELSEWHERE = "write it with other operators, leave it to the program that calls the model, or build the other format"
_MOST_SAID = 160


@dataclass(frozen=True)
class Symptom:
    """A pattern in what was said, and what it means; see ``symptoms.toml``."""

    pattern: str
    message: str
    hint: str = _ELSEWHERE


SYMPTOMS: tuple[Symptom, ...] = conform(
    tuple[Symptom, ...], tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["symptoms"]
)


@dataclass(frozen=True)
class _Known:
    """What is known of an error.

    Attributes:
        operator: As the converter calls it; None where it names none.
    """

    message: str
    hint: str
    operator: str | None

    def location(self, graph_module: Any) -> str:
        """Layer and line of its operator in *graph_module*, to stand behind the message; empty where not known."""
        node = None if graph_module is None or self.operator is None else named(graph_module, self.operator)
        return where(node) if node else ""

    def refusal(self, location: str) -> ConversionError:
        return ConversionError("EK-UNSUPPORTED", self.message + location, self.hint)


def explained(error: BaseException) -> ConversionError | None:
    """What is known of *error*.

    A refusal of edgekit's own is only looked at if an engine or a reader of files made it.
    """
    known = _known(error)
    return None if known is None else known.refusal("")


def _known(error: BaseException) -> _Known | None:
    if isinstance(error, EdgekitError) and error.code not in ("EK-RUN", "EK-BUNDLE"):
        return None
    text = error.message if isinstance(error, EdgekitError) else "".join(traceback.format_exception(error))
    for symptom in SYMPTOMS:
        found = re.search(symptom.pattern, text, re.DOTALL | re.MULTILINE)
        if found is not None:
            said = found.groupdict()
            return _Known(symptom.message.format(**said), symptom.hint, said.get("operator"))
    return None


@contextmanager
def explaining(graph_module: Any = None, attempt: Attempt | None = None, converter: str = "") -> Iterator[None]:
    """Say what a converter or an engine raises in words that help: which operator, of which layer and line, and why.

    Args:
        graph_module: What is converted.
        attempt: Converts a part of it: looks for the operator where the *converter*, by its name, does not name one.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``. What is not known is raised as it is without *attempt*.
    """
    try:
        yield
    except Exception as error:
        known = _known(error)
        location = "" if known is None else known.location(graph_module)
        own = known is None and isinstance(error, EdgekitError)
        if attempt is not None and not location and not own and not isinstance(error, (MemoryError, OSError)):
            raise _located(known, error, graph_module, attempt, converter) from error
        if known is None:
            raise
        raise known.refusal(location) from error


def _located(
    known: _Known | None, error: Exception, graph_module: Any, attempt: Attempt, converter: str
) -> ConversionError:
    """What there is to say of *error*, with the place in the model that it is about."""
    from edgekit.pipeline.exporters.culprit import culprit  # it takes torch, which other families do not have

    def alike(other: Exception) -> bool:
        same = _known(other)
        return type(other) is type(error) if known is None else same is not None and same.hint == known.hint

    node = culprit(graph_module, attempt, alike)
    if known is not None:
        return known.refusal(where(node) if node else "")
    message = f"{converter} takes every operator of this model, but not all of it: "
    if node is not None:
        message = f"{converter} cannot take {operator(node)}{shapes(node)}{where(node)}: "
    return ConversionError("EK-UNSUPPORTED", message + _said(error), _ELSEWHERE)


def _said(error: Exception) -> str:
    """The line in which a library says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = r"error:|unsupported|not |fail"
    telling = [line for line in lines if re.search(words, line, re.IGNORECASE) and not line.endswith(":")]
    return next(iter(telling or lines), type(error).__name__)[:_MOST_SAID]


def named(graph_module: Any, name: str) -> Any:
    """The first node whose operator a converter calls *name*: ``CumMax`` and ``cummax`` are one."""
    wanted = _bare(name)
    nodes = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    called = [(_bare(operator(node).partition(".")[2]), node) for node in nodes]
    exact = (node for found, node in called if found in (wanted, f"special{wanted}", f"linalg{wanted}"))
    return next(exact, next((node for found, node in called if found.startswith(wanted)), None))


def _bare(name: str) -> str:
    return name.lower().replace("_", "")
