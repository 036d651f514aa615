"""What is said of a variant that was exported, not run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.bundles import as_exported, only

from edgekit.cli.main import run

_REASON = "it needs ExecuTorch's Core ML backend, which only an iOS app has: exported, not run"


@pytest.fixture
def bundle(small_bundle: Path, tmp_path: Path) -> Path:
    """Two variants that run, and one for Core ML."""
    return as_exported(small_bundle, "fp32.pte", "coreml", tmp_path / "ios.edgekit")


@pytest.fixture
def alone(bundle: Path, tmp_path: Path) -> Path:
    """The one for Core ML."""
    return only(bundle, ("fp32.pte",), tmp_path / "alone.edgekit")


def test_it_is_shown_as_such(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "executorch (Core ML): exported, not run" in shown and "None" not in shown
    assert run(["doctor", str(bundle), "--json"]) == 0
    choices = json.loads(capsys.readouterr().out)["choices"]
    assert [choice["reason"] for choice in choices if choice["variant"] == "fp32.pte"] == [_REASON]


def test_it_is_not_counted_as_verified(bundle: Path, alone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(bundle), "--threads", "1"]) == 0
    (line,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("fp32.pte"))
    assert line.endswith(f"not run: {_REASON}") and "passed" not in line
    assert run(["verify", str(alone)]) == 1
    assert f"nothing ran: fp32.pte: {_REASON}" in capfd.readouterr().err


def test_it_does_not_run(bundle: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((12, 12), np.uint8))
    assert run(["run", str(bundle), "--input", str(tmp_path / "x.npy"), "--variant", "fp32.pte"]) == 1
    assert f"fp32.pte on executorch: {_REASON}" in capsys.readouterr().err
    assert run(["profile", str(alone), "--quick"]) == 1
    assert _REASON in capsys.readouterr().err
