"""Fixtures of the tests of engines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.native_models import NativeModels, build_native_models
from support.shared import Shared


@pytest.fixture(scope="session")
def native_models() -> NativeModels:
    """Small ``.pte`` files; those in ``$EDGEKIT_TEST_NATIVE_MODELS``, which the sanitized run hands on, or new ones."""
    given = os.environ.get("EDGEKIT_TEST_NATIVE_MODELS")
    return NativeModels(Path(given) if given else Shared.once("native-models", build_native_models))
