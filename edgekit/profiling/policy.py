"""The policy: how much worse each figure of a profile may become before ``edgekit compare`` fails.

A policy is a TOML file. What it does not name keeps its default; `inf` lifts a limit:

    missing = "fail"              # a row that was measured before and is not now: "fail" or "allow"
    not_comparable = "note"       # a latency that cannot be compared: "note" or "fail"
    undecided = "note"            # a latency of which neither is shown, that it is within its limit or beyond: the same

    [limits]
    latency_ratio = 1.05          # median, new over base
    accuracy_drop = 0.5           # percentage points below the base, or in the unit of the project's metric

    [[rows]]                      # other limits for some rows; of several that match, the last one counts
    engine = "executorch"         # shell patterns; also variant and device
    latency_ratio = 1.10
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from edgekit import documents
from edgekit.errors import UsageError, did_you_mean
from edgekit.schema import Misfit, conform


@dataclass(frozen=True)
class Limits:
    """The most that a new profile may have, against the base.

    Attributes:
        latency_ratio: Median latency. It is met when the ratio's whole interval is within it. It is not met when the
            ratio is above it, and the whole interval above 1 (or above the limit, where that is below 1). All else is
            undecided, and so is whatever was measured on a machine that was busy or hot.
        size_ratio: Size of the file.
        peak_rss_ratio: Peak of resident memory.
        accuracy_drop: By how much the metric may be worse, accuracy in percentage points. None: half a point, and of
            a metric in another unit a twentieth of the base.
        guest_instructions_ratio: Instructions of an inference on an emulated board.
        load_ratio: Loading the file. No limit unless a policy sets one: it is measured once in each process.
    """

    latency_ratio: float = 1.05
    size_ratio: float = 1.05
    peak_rss_ratio: float = 1.10
    accuracy_drop: float | None = None
    guest_instructions_ratio: float = 1.02
    load_ratio: float = math.inf


METRICS = tuple(item.name for item in fields(Limits))


@dataclass(frozen=True)
class Override:
    """Other limits for the rows whose variant, engine and device match these shell patterns."""

    limits: Mapping[str, float]
    variant: str = "*"
    engine: str = "*"
    device: str = "*"


@dataclass(frozen=True)
class Policy:
    """Limits, and what happens where there is nothing to hold against them.

    Attributes:
        missing: ``fail`` or ``allow`` a row that was measured in the base and is not in the new profile.
        not_comparable: ``note`` or ``fail`` a latency whose conditions differ, or whose machine.
        undecided: ``note`` or ``fail`` a latency that is not shown to be within its limit, nor beyond.
        rows: Exceptions from *limits*.
    """

    limits: Limits = field(default_factory=Limits)
    missing: Literal["fail", "allow"] = "fail"
    not_comparable: Literal["note", "fail"] = "note"
    undecided: Literal["note", "fail"] = "note"
    rows: tuple[Override, ...] = ()

    def limits_for(self, variant: str, engine: str, device: str) -> Limits:
        """The limits of one row."""
        limits = self.limits
        for each in self.rows:
            patterns = ((variant, each.variant), (engine, each.engine), (device, each.device))
            if all(fnmatchcase(name, pattern) for name, pattern in patterns):
                limits = replace(limits, **each.limits)
        return limits


def load_policy(path: str | Path) -> Policy:
    """The policy in the ``.toml`` file at *path*.

    Raises:
        UsageError: ``EK-MISSING-FILE``: it cannot be read; ``EK-ARGUMENT``: it is wrong, with the line.
    """
    path = Path(path)
    try:
        text, value = documents.read_toml(path)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise UsageError("EK-MISSING-FILE", message, "edgekit compare --help shows a policy") from error
    except ValueError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        message = f"{where}: not a TOML file: {error}"
        raise UsageError("EK-ARGUMENT", message, "see https://toml.io for the syntax") from error
    rows = value.get("rows")
    if isinstance(rows, list):
        value = {**value, "rows": [_override(row) for row in rows]}
    try:
        policy: Policy = conform(Policy, value)
    except Misfit as misfit:
        table, _, key = misfit.where.rpartition(".")
        told = misfit.told.partition(" in ")[0].replace(repr(misfit.where), repr(key))
        hint = _HINTS.get(key.partition("[")[0], misfit.hint)
        if table.startswith("rows") and key not in _HINTS:
            hint = did_you_mean(key, (*_PATTERNS, *METRICS))
        raise _wrong(path, text, misfit.where, told, hint) from misfit
    by_row = {f"rows[{index}]": row.limits for index, row in enumerate(policy.rows)}
    for where, limits in {"limits": vars(policy.limits), **by_row}.items():
        for name, limit in limits.items():
            if limit is not None and math.isnan(limit):
                raise _wrong(path, text, f"{where}.{name}", f"{name!r} takes a number", _HINTS[name])
            if limit is not None and name.endswith("_ratio") and limit <= 0:
                hint = "it takes a ratio above 0: 1.05 allows 5 % more"
                raise _wrong(path, text, f"{where}.{name}", f"{name!r} is {limit:g}", hint)
    return policy


def _override(row: object) -> object:
    """A row of the file, in which limits stand beside patterns, as an `Override` has them."""
    if not isinstance(row, dict):
        return row
    limits = {name: limit for name, limit in row.items() if name in METRICS}
    return {"limits": limits, **{name: item for name, item in row.items() if name not in METRICS}}


_PATTERNS = ("variant", "engine", "device")
#: How what is not as its type demands is written.
_HINTS = {
    "limits": "write [limits] and the limits below it",
    "rows": "write [[rows]] and, below it, patterns and limits",
    **dict.fromkeys(METRICS, "inf lifts the limit"),
    **{name: f'as in {name} = "int8*"' for name in _PATTERNS},
}


def _wrong(path: Path, text: str, where: str, message: str, hint: str) -> UsageError:
    """The error for what is wrong at *where*, with its line."""
    table, _, key = where.replace("].limits", "]").rpartition(".")
    line = documents.toml_line(text, (table, key) if table else (key,))
    return UsageError("EK-ARGUMENT", f"{path}{f':{line}' if line else ''}: {message}", hint)
