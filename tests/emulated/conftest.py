"""Emulated boards for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.board import Board


@pytest.fixture(scope="session")
def layer_cache(pytestconfig: pytest.Config) -> Path:
    """Unpacked Debian packages: 0.2 GB that the next run need not fetch again."""
    return Path(pytestconfig.cache.mkdir("boards"))


@pytest.fixture(scope="module")
def board(layer_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A Raspberry Pi 4 with Python, shared by the tests of a file."""
    with Board(tmp_path_factory.mktemp("board"), layer_cache) as board:
        yield board
