"""The code that decides what a source gives belongs to the keys of all that is made of it."""

from __future__ import annotations

import ast
from pathlib import Path

import edgekit
from edgekit.pipeline import sources

PACKAGE = Path(edgekit.__file__).parent


def test_what_the_parts_import_of_the_pipeline_are_parts() -> None:
    parts = [PACKAGE / part for part in sources.CODE]
    files = [file for part in parts for file in (part.rglob("*.py") if part.is_dir() else [part])]
    imported = {
        node.module or ""
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    modules = {PACKAGE.parent / name.replace(".", "/") for name in imported if name.startswith("edgekit.pipeline.")}
    assert len(modules) > 10
    places = [module if module.is_dir() else module.with_suffix(".py") for module in modules]
    assert [place for place in places if not any(place.is_relative_to(part) for part in parts)] == []
