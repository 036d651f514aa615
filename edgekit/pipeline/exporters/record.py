"""What every exporter says of the file it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgekit.pipeline.inspection import inspect_file


def record(
    output: str,
    format: str,
    *,
    packages: Iterable[str],
    minimum_runtime: Mapping[str, str],
    requires_features: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """The record of an export, as JSON; operators and bytes are read back from the file itself.

    Args:
        output: The file that was written.
        format: ``tflite``, ``pte`` or ``ptl``.
        packages: The distributions that had a hand in it.
        minimum_runtime: Oldest version of each runtime that reads the file.
        requires_features: CPU features without which it does not run.
        warnings: What the user should know.
    """
    facts = inspect_file(Path(output), format)
    return {
        "delegated_share": facts.delegated_share,
        "undelegated_ops": facts.undelegated_ops,
        "weight_bytes": facts.weight_bytes,
        "producers": {package: version(package) for package in packages},
        "minimum_runtime": dict(minimum_runtime),
        "requires_features": list(requires_features),
        "warnings": list(warnings),
    }
