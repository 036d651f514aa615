"""Operators: where the time of an inference goes, from the traces of both runtimes in one form."""

from __future__ import annotations

from edgekit.errors import UsageError
from edgekit.profiling.operators import etdump, litert
from edgekit.profiling.operators.steps import OVERHEAD
from edgekit.runtime.profiler.records import Operators, Trace

__all__ = ["decode", "headline"]

_DECODERS = {"etdump": etdump.decode, "litert": litert.decode}


def decode(trace: Trace) -> Operators:
    """The operators that *trace* recorded.

    Raises:
        UsageError: ``EK-ARGUMENT``: the trace is damaged, or holds no inference.
        EdgekitError: ``EK-MISSING-PACKAGE``: ExecuTorch's traces are read by a tool of its package;
            ``EK-UNSUPPORTED``: the model branches or loops on LiteRT, whose record does not tell what runs inside.
    """
    try:
        return _DECODERS[trace.kind](trace.recorded())
    except ValueError as error:
        raise UsageError("EK-ARGUMENT", f"the operator trace cannot be read: {error}") from error


def headline(operators: Operators) -> str:
    """One line: the delegated share of the whole's time, and the slowest operator outside the delegate."""
    whole = operators.whole_us or 1.0
    outside = [row for row in operators.operators if not row.delegated and row.type not in OVERHEAD]
    inside = sum(row.time_us for row in operators.operators if row.delegated)
    if not outside:
        return f"{_percent(inside / whole)} of time delegated; no operator outside"
    slowest = max(outside, key=lambda row: row.time_us)
    one = f"{slowest.name}, {_percent(slowest.time_us / whole)}"
    if not any(row.delegated for row in operators.operators):
        return f"nothing delegated; slowest: {one}"
    return f"{_percent(inside / whole)} of time delegated; slowest undelegated: {one}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
