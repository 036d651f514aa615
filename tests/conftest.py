"""Fixtures that several test files share."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
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


@pytest.fixture(scope="session")
def digits_bundle() -> Path:
    """The bundle that the README's first command makes, made by that command."""
    root = Path(__file__).parent.parent
    command = re.findall(r"&& (edgekit build examples/digits .*)", (root / "README.md").read_text(encoding="utf-8"))[0]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    process = subprocess.run(
        command, shell=True, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return root / "examples" / "digits" / "build" / "digits-rpi4.edgekit"
