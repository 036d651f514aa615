"""Runtimes that came as a whole: a format, the engine that runs it and the exporter that makes it, under one name.

One line here registers all three, as another package does with an entry point in each of three groups. Each is a
module of that name, beside its like, with a value in it.
"""

from __future__ import annotations

#: Names of modules; order is the order in which equals are preferred, after what registries list themselves.
RUNTIMES: tuple[str, ...] = ("ncnn",)


def formats() -> dict[str, str]:
    """Where the formats are: in the modules that read files of theirs as data."""
    return _named("edgekit.runtime.contents", "FORMAT")


def engines() -> dict[str, str]:
    """Where the engines are: in their adapters."""
    return _named("edgekit.runtime.engines", "ENGINE")


def exporters() -> dict[str, str]:
    """Where the exporters are: in folders, whose other modules may import what converts."""
    return _named("edgekit.pipeline.exporters", "EXPORTER")


def _named(package: str, value: str) -> dict[str, str]:
    return {name: f"{package}.{name}:{value}" for name in RUNTIMES}
