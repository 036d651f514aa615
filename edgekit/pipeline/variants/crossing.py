"""A source model as a file of another kind, for exporters that take none of what it is itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.documents import canonical_json
from edgekit.pipeline import sources
from edgekit.pipeline.exporters.exported import ExportRecord
from edgekit.pipeline.model.source_model import SourceModel
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.work.stages import Stages
from edgekit.pipeline.work.versions import versions
from edgekit.source_kinds import SOURCE_KINDS, Bridge


@dataclass(frozen=True)
class Taken:
    """What an exporter takes.

    Attributes:
        digest: SHA-256 of everything that it was made from.
        producers: Versions of the distributions that had a hand in it.
        warnings: What the user should know.
    """

    spec: SourceSpec
    digest: str
    producers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def cross(stages: Stages, model: SourceModel, bridges: tuple[Bridge, ...]) -> Taken:
    """*model* behind *bridges*: written once, for all variants that are made of it.

    The original stays the reference: whatever is lost on the way is lost in the variants, and measured there.

    Raises:
        ConversionError: It has no form that the other kind has.
    """
    taken = Taken(model.spec, model.digest)
    for bridge in bridges:
        taken = _crossed(stages, taken, model, bridge)
    return taken


def _crossed(stages: Stages, taken: Taken, model: SourceModel, bridge: Bridge) -> Taken:
    kind = SOURCE_KINDS[bridge.kind]
    name = f"model{kind.suffix}"
    entry = stages.run(
        "bridge",
        kind.name,
        key={"model": taken.digest, "versions": versions(bridge.packages)},
        code=("pipeline/bridges", *sources.CODE),
        function=bridge.write,
        family=bridge.family,
        arguments=lambda directory: {"source": taken.spec.to_json(), "output": str(directory / name)},
    )
    made = ExportRecord.read(entry.record)
    found = {"digest": entry.digest, "made from": entry.made_from}
    return Taken(
        SourceSpec(kind.name, entry.path(name), inputs=model.signature.inputs, sample=model.spec.sample),
        hashlib.sha256(canonical_json(found)).hexdigest(),
        {**taken.producers, **made.producers},
        (*taken.warnings, *made.warnings),
    )
