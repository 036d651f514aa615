"""Which signature of a model a build is of: said with it, or in edgekit.toml."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.project.origin import ModelOptions, find_origin

PROJECT = """
[project]
name = "signed"
[model]
file = "saved"
signature = "encode"
[data]
evaluation = "samples.npz"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    np.savez(tmp_path / "samples.npz", x=np.zeros((2, 4), np.float32))
    (tmp_path / "edgekit.toml").write_text(PROJECT)
    return tmp_path


def test_a_project_names_it(project: Path) -> None:
    origin = find_origin(str(project))
    assert origin.source.signature == "encode"


def test_with_a_project_it_is_not_said_again(project: Path) -> None:
    with pytest.raises(UsageError, match="--signature is for bare model files") as caught:
        find_origin(str(project), ModelOptions(signature="decode"))
    assert "model.signature" in str(caught.value.hint)


def test_it_tells_one_model_from_another(project: Path) -> None:
    keys = [
        find_origin(str(project / "saved"), ModelOptions(signature=name)).model_key for name in ("encode", "decode")
    ]
    assert keys[0] != keys[1]
