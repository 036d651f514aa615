"""Runtimes that one line registers: there is one of each kind of thing, and all know each other."""

from __future__ import annotations

import pytest

from edgekit.builtin_runtimes import RUNTIMES
from edgekit.engines import ENGINES
from edgekit.formats import FORMATS
from edgekit.pipeline.exporters import EXPORTERS
from edgekit.registry import Registry


@pytest.mark.parametrize("name", RUNTIMES)
def test_format_engine_and_exporter_are_of_one_name(name: str) -> None:
    format, engine, exporter = FORMATS[name], ENGINES[name], EXPORTERS[name]
    assert format.name == engine.name == exporter.name == exporter.format == format.engine == name
    assert name in engine.formats and format.backend in exporter.recipes
    assert format.contents is not None


@pytest.mark.parametrize("registry", [FORMATS, ENGINES, EXPORTERS], ids=lambda registry: registry.group)
def test_they_come_behind_what_registries_list_themselves(registry: Registry[object]) -> None:
    assert registry.names()[len(registry.names()) - len(RUNTIMES) :] == RUNTIMES
