"""The report that these tests read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.profiles import Noise, profile
from support.shared import Shared

from edgekit.profiling.report import render


@pytest.fixture(scope="session")
def report() -> Path:
    """The report on a whole session: see `support.profiles.profile`."""

    def write(folder: Path) -> None:
        (folder / "report.html").write_text(render(profile(noise=Noise())), encoding="utf-8")

    return Shared.once("report", write) / "report.html"
