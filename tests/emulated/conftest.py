"""Emulated boards for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.board import Board
from support.bundles import only

MakeBoard = Callable[..., Board]


@pytest.fixture(scope="session")
def layer_cache(system: None, pytestconfig: pytest.Config) -> Path:
    """Unpacked Debian packages: 0.3 GB that the next run need not fetch again."""
    return Path(pytestconfig.cache.mkdir("boards"))


@pytest.fixture(scope="module")
def make_board(layer_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeBoard]:
    """Makes boards that are on until the tests of a file are done; takes what `Board` takes."""
    with ExitStack() as boards:

        def make(**options: Any) -> Board:
            return boards.enter_context(Board(tmp_path_factory.mktemp("board"), layer_cache, **options))

        yield make


@pytest.fixture(scope="module")
def board(make_board: MakeBoard) -> Board:
    """A Raspberry Pi 4 with Python, shared by the tests of a file."""
    return make_board()


@pytest.fixture(scope="session")
def pte_bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return only(small_bundle, ("fp32.pte",), tmp_path_factory.mktemp("pte") / "small.edgekit")


@pytest.fixture(scope="session")
def tflite_bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return only(small_bundle, ("fp32.tflite",), tmp_path_factory.mktemp("tflite") / "small.edgekit")
