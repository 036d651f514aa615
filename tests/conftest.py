"""Fixtures that several test files share."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from small_models import SmallModels, build_bundle, build_models
from support.shared import Shared

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    Shared.place(tmp_path_factory, os.environ.get("PYTEST_XDIST_WORKER"))


@pytest.fixture(scope="session")
def small_models() -> SmallModels:
    """Small real model files and their float outputs; built once, in about ten seconds."""
    folder = Shared.once("small-models", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_models())))
    models: SmallModels = pickle.loads((folder / "models").read_bytes())
    return models


@pytest.fixture(scope="session")
def small_bundle(small_models: SmallModels) -> Path:
    """A real bundle (zip) with variants ``fp32.tflite``, ``int8-dynamic.tflite`` and ``fp32.pte``. Do not change it."""
    folder = Shared.once("small-bundle", lambda folder: build_bundle(small_models, folder / "small.edgekit"))
    return folder / "small.edgekit"


@pytest.fixture(scope="session")
def digits_bundle() -> Path:
    """The bundle that the README's first command makes, made by that command."""
    Shared.once("digits", _build_digits)
    return _ROOT / "examples" / "digits" / "build" / "digits-rpi4.edgekit"


def _build_digits(_: Path) -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"&& (edgekit build examples/digits .*)", readme)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    process = subprocess.run(
        command, shell=True, cwd=_ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
