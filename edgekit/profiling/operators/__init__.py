"""Operators: where the time of an inference goes, from the traces of both runtimes in one form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from edgekit import display
from edgekit.errors import UsageError
from edgekit.profiling.operators import etdump, litert
from edgekit.profiling.operators.steps import DELEGATE_OVERHEAD, OVERHEAD
from edgekit.runtime.profiler.records import Operator, Operators
from edgekit.runtime.profiler.samples import Trace

__all__ = ["decode", "headline"]

_MOST_CHARACTERS = 500
_DECODERS = {"etdump": etdump.decode, "litert": litert.decode}

#: Share of the whole's time that may be unresolved before a share says nothing.
_MOST_UNRESOLVED = 0.1


def decode(trace: Trace) -> Operators:
    """The operators that *trace* recorded.

    Raises:
        UsageError: ``EK-ARGUMENT``: the trace is damaged, or holds no inference.
        EdgekitError: ``EK-MISSING-PACKAGE``: ExecuTorch's traces are read by a tool of its package;
            ``EK-UNSUPPORTED``: the model branches or loops on LiteRT, whose record does not tell what runs inside.
    """
    try:
        found = _DECODERS[trace.kind](trace.recorded())
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # a device may send anything
        raise UsageError("EK-ARGUMENT", f"the operator trace cannot be read: {error}") from error
    if not 0 < found.whole_us < math.inf or any(each.time_us < 0 for each in found.operators):
        raise UsageError("EK-ARGUMENT", "the operator trace cannot be read: inferences that took no time")
    return replace(found, operators=tuple(map(_shown, found.operators)))


def _shown(operator: Operator) -> Operator:
    """Names are the model's, and those of whoever traced it."""

    def shown(text: str | None) -> str | None:
        return None if text is None else display.one_line(text, _MOST_CHARACTERS)

    return replace(
        operator,
        name=display.one_line(operator.name, _MOST_CHARACTERS),
        type=display.one_line(operator.type, _MOST_CHARACTERS),
        source=shown(operator.source),
        node=shown(operator.node),
    )


def headline(operators: Operators) -> str:
    """One line: the delegated share of the whole's time, and the slowest operator outside the delegate."""
    whole = operators.whole_us or 1.0
    inside = [row for row in operators.operators if row.delegated]
    outside = [row for row in operators.operators if not row.delegated and row.type not in OVERHEAD]
    slowest = max(outside, key=lambda row: row.time_us, default=None)
    one = "" if slowest is None else f"{slowest.name}, {_percent(slowest.time_us / whole)}"
    if not inside:
        return f"nothing delegated; slowest: {one or 'unknown'}"
    share = f"{_percent(sum(row.time_us for row in inside) / whole)} of time delegated"
    if _unresolved_us(inside) > _MOST_UNRESOLVED * whole:
        share = "delegated share unknown, as XNNPACK times its operators in whole microseconds"
    return f"{share}; slowest undelegated: {one}" if one else f"{share}; no operator outside"


def _unresolved_us(inside: Sequence[Operator]) -> float:
    """How much of the delegate's time may be missing, cut off its operators' times: all that is less than one
    microsecond, unless it is known what the delegate took beside them."""
    return 0.0 if any(row.type == DELEGATE_OVERHEAD for row in inside) else float(sum(row.count for row in inside))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
