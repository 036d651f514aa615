"""Deployments that are killed: the board has one complete, working release at every moment.

Some of each kind; ``tests/benchmarks/test_killed_deployments.py`` kills 200.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support import board_root
from support.board import Board
from support.interruptions import KINDS, Interrupted, Kind

pytestmark = pytest.mark.slow

SEED = 5


@pytest.fixture(scope="module")
def interrupted(make_board: Callable[..., Board], pte_bundle: Path) -> Interrupted:
    return Interrupted(make_board(layers=board_root.NO_PYTHON, disk_mib=256), pte_bundle)


@pytest.mark.parametrize("kind", KINDS)
def test_the_old_release_or_the_new_one_is_complete_and_works(interrupted: Interrupted, kind: Kind) -> None:
    interrupted.kill_one(kind, random.Random(f"{SEED} {kind}").random())


def test_what_was_interrupted_goes_through_afterwards(interrupted: Interrupted) -> None:
    interrupted.kill_one("connection", 0.5)
    assert interrupted.finish().exit_code == 0
