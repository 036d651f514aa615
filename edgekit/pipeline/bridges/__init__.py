"""Bridges: a source written as a file of another kind (see `edgekit.source_kinds.Bridge`)."""
