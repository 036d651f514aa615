"""``.pt2`` files as source models."""

from __future__ import annotations

from pathlib import Path

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.exported_program import load_exported
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.torch import TorchSource


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``pt2`` source.

    Raises:
        UsageError: ``EK-SOURCE`` (no readable program, or one that does not take the inputs) or ``EK-DATA`` (the data
            name other inputs).
    """
    name = Path(spec.path).name
    module, own = load_exported(Path(spec.path), spec.trust)
    inputs, data_names = match_file(own, [entry.name for entry in spec.inputs], name)
    return TorchSource(module, inputs, name, data_names=data_names, sample=spec.read_sample())
