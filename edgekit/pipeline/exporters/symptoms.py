"""Known symptoms: what converters and engines say of models that they cannot take, in words that help."""

from __future__ import annotations

import re
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError, EdgekitError
from edgekit.schema import conform

_PACKAGE = str(Path(__file__).parents[2])
_ELSEWHERE = "write it with other operators, leave it to the program that calls the model, or build the other format"


@dataclass(frozen=True)
class Symptom:
    """A pattern in what was said, and what it means; see ``symptoms.toml``."""

    pattern: str
    message: str
    hint: str = _ELSEWHERE


SYMPTOMS: tuple[Symptom, ...] = conform(
    tuple[Symptom, ...], tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["symptoms"]
)


def explained(error: BaseException, graph_module: Any = None) -> ConversionError | None:
    """What is known of *error*; with the line of the user's code, where *graph_module* says which its operators are of.

    A refusal of edgekit's own is only looked at if an engine or a reader of files made it.
    """
    if isinstance(error, EdgekitError) and error.code not in ("EK-RUN", "EK-BUNDLE"):
        return None
    text = error.message if isinstance(error, EdgekitError) else "".join(traceback.format_exception(error))
    for symptom in SYMPTOMS:
        found = re.search(symptom.pattern, text, re.DOTALL)
        if found is not None:
            message = symptom.message.format(**found.groupdict())
            where = _line(graph_module, found.groupdict().get("operator"))
            return ConversionError("EK-UNSUPPORTED", message + where, symptom.hint)
    return None


@contextmanager
def explaining(graph_module: Any = None) -> Iterator[None]:
    """Say known symptoms in words that help."""
    try:
        yield
    except Exception as error:
        if (known := explained(error, graph_module)) is None:
            raise
        raise known from error


def _line(graph_module: Any, operator: str | None) -> str:
    """The innermost line outside of installed packages that *operator* is from, as ` (net.py:12: return a + b)`."""
    if graph_module is None or operator is None:
        return ""
    wanted = operator.lower().replace("_", "")
    for node in graph_module.graph.nodes:
        name = str(getattr(node.target, "__name__", node.target)).partition(".")[0].lower().replace("_", "")
        if node.op != "call_function" or not (name == wanted or name.startswith(wanted)):
            continue
        frames = re.findall(r'File "([^"]+)", line (\d+), in \w+\n\s*(.+)', node.meta.get("stack_trace") or "")
        own = [each for each in frames if "site-packages" not in each[0] and not each[0].startswith(_PACKAGE)]
        if own:
            path, number, code = own[-1]
            return f" ({path.rpartition('/')[2]}:{number}: {code.strip()[:80]})"
    return ""
