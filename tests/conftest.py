"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import SmallModels, build_bundle, build_models


@pytest.fixture(scope="session")
def small_models() -> SmallModels:
    """Small real model files and their float outputs; built once, in about ten seconds."""
    return build_models()


@pytest.fixture(scope="session")
def small_bundle(small_models: SmallModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle (zip) with variants ``fp32.tflite``, ``int8-dynamic.tflite`` and ``fp32.pte``. Do not change it."""
    return build_bundle(small_models, tmp_path_factory.mktemp("small") / "small.edgekit")
