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
from typing import Any, Literal

from edgekit import documents
from edgekit.errors import UsageError, did_you_mean


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
        raise UsageError(
            "EK-MISSING-FILE", f"cannot read {path}: {error.strerror}", "edgekit compare --help shows a policy"
        ) from error
    except ValueError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        raise UsageError(
            "EK-ARGUMENT", f"{where}: not a TOML file: {error}", "see https://toml.io for the syntax"
        ) from error
    return _Reader(path, text).policy(value)


class _Reader:
    """Checks a policy's values; errors name the line."""

    def __init__(self, path: Path, text: str):
        self._path = path
        self._lines = text.splitlines()
        self._start = 0  # of what is being read: the same keys stand in every table

    def policy(self, value: Mapping[str, Any]) -> Policy:
        self._check_keys(value, ("limits", "missing", "not_comparable", "undecided", "rows"))
        limits, rows = value.get("limits", {}), value.get("rows", [])
        if not isinstance(limits, dict):
            raise self._wrong("limits", "'limits' takes a table", "write [limits] and the limits below it")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._wrong("rows", "'rows' takes tables", "write [[rows]] and, below it, patterns and limits")
        self._check_keys(limits, METRICS)
        return Policy(
            limits=Limits(**{name: self._limit(name, number) for name, number in limits.items()}),
            missing=self._word(value, "missing", ("fail", "allow")),
            not_comparable=self._word(value, "not_comparable", ("note", "fail")),
            undecided=self._word(value, "undecided", ("note", "fail")),
            rows=tuple(self._override(index, row) for index, row in enumerate(rows)),
        )

    def _override(self, index: int, row: Mapping[str, Any]) -> Override:
        heads = [number for number, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*rows", line)]
        self._start = heads[index] if index < len(heads) else 0
        patterns = ("variant", "engine", "device")
        self._check_keys(row, (*patterns, *METRICS))
        for name in patterns:
            if name in row and not isinstance(row[name], str):
                raise self._wrong(name, f"{name!r} takes a text", f'as in {name} = "int8*"')
        limits = {name: self._limit(name, number) for name, number in row.items() if name in METRICS}
        return Override(limits, **{name: row[name] for name in patterns if name in row})

    def _check_keys(self, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(name, f"unknown key {name!r}", did_you_mean(name, known))

    def _limit(self, name: str, number: object) -> float:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or math.isnan(number):
            raise self._wrong(name, f"{name!r} takes a number", "inf lifts the limit")
        limit = float(number)
        if name.endswith("_ratio") and limit <= 0:
            raise self._wrong(name, f"{name!r} is {number}", "it takes a ratio above 0: 1.05 allows 5 % more")
        return limit

    def _word(self, table: Mapping[str, Any], name: str, known: tuple[str, ...]) -> Any:
        word = table.get(name, known[0])
        if word not in known:
            raise self._wrong(name, f"{name!r} is {word!r}", did_you_mean(str(word), known))
        return word

    def _wrong(self, key: str, message: str, hint: str) -> UsageError:
        # The standard library's TOML reader keeps no positions: the first line that sets the key, or heads its table.
        pattern = re.compile(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
        lines = enumerate(self._lines[self._start :], self._start + 1)
        line = next((f":{number}" for number, line in lines if pattern.match(line)), "")
        where = f"{self._path}{line}"
        return UsageError("EK-ARGUMENT", f"{where}: {message}", hint)
