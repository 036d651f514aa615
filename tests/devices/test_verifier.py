"""Bundles verified on several devices, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.devices.verifier import failure, verify
from edgekit.errors import UsageError


def test_this_machine_verifies_and_a_device_that_is_away_hides_nothing(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.devices.ssh.address.CONNECT_S", 1)
    lines: list[tuple[str, str]] = []
    away = "ssh://nobody@127.0.0.1:1"
    found = verify(
        small_bundle, [away, "local", away], variant="fp32.tflite", threads=1, log=lambda *line: lines.append(line)
    )
    lost, here = found
    assert lost.device == away and lost.rows == () and lost.error is not None and lost.error.code == "EK-CONNECT"
    assert here.device == "local" and here.error is None and not here.emulated
    assert [(row.variant, row.engine) for row in here.rows if row.status == "passed"] == [("fp32.tflite", "litert")]
    assert ("local", "fp32.tflite on litert") in lines
    assert failure(found) is lost.error and failure([here]) is None


def test_what_cannot_be_asked_is_refused_before_anything_runs(small_bundle: Path) -> None:
    for on, options, said in (
        ("browser", {}, "neither run nor verified on browser"),
        ("mars:1", {}, "there is no device 'mars:1'"),
        ("local", {"instructions": True}, "on emulated boards, not on local"),
        ("local", {"variant": "int9"}, "int9"),
    ):
        with pytest.raises(UsageError, match=said):
            verify(small_bundle, on, **options, log=lambda *line: pytest.fail(str(line)))  # type: ignore[arg-type]
