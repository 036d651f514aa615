"""What every exporter says of the file it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from edgekit.pipeline.work.answers import Answer


@dataclass(frozen=True)
class ExportRecord(Answer):
    """The record of an export. What is in the file is read back from it (`edgekit.pipeline.readers.facts`).

    Attributes:
        producers: Versions of the distributions that had a hand in it.
        minimum_runtime: Oldest version of each runtime that reads the file.
        warnings: What the user should know.
        values: How many distinct values the exported graph computes with; None where nobody counted.
        rewritten: Operators that are spelled otherwise in it, as ``aten.stft``.
    """

    producers: Mapping[str, str]
    minimum_runtime: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    values: int | None = None
    rewritten: tuple[str, ...] = ()


def record(
    packages: Iterable[str],
    minimum_runtime: Mapping[str, str],
    warnings: Iterable[str] = (),
    values: int | None = None,
    rewritten: Iterable[str] = (),
) -> dict[str, Any]:
    """The `ExportRecord`, as JSON, of a file that the distributions *packages* made."""
    producers = {package: version(package) for package in packages}
    made = asdict(ExportRecord(producers, dict(minimum_runtime), values=values))
    return {**made, "warnings": list(warnings), "rewritten": list(rewritten)}
