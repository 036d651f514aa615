"""What every exporter says of the file it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any


def record(
    packages: Iterable[str], minimum_runtime: Mapping[str, str], warnings: Iterable[str] = (), values: int | None = None
) -> dict[str, Any]:
    """The record of an export, as JSON. What is in the file is read back from it (`edgekit.pipeline.inspection`).

    Args:
        packages: The distributions that had a hand in it.
        minimum_runtime: Oldest version of each runtime that reads the file.
        warnings: What the user should know.
        values: How many distinct values the exported graph computes with; None where nobody counted.
    """
    return {
        "producers": {package: version(package) for package in packages},
        "minimum_runtime": dict(minimum_runtime),
        "warnings": list(warnings),
        "values": values,
    }
