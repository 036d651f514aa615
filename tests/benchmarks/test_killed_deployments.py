"""200 deployments killed at random moments: the board always has one complete, working release. Prints the figures.

Run with ``pytest -n 0 -s tests/benchmarks/test_killed_deployments.py``. The board has this machine's own processor, on
which a deployment takes a second; the ordinary tests kill some on an emulated one.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from support import board_root
from support.board import Board
from support.bundles import only
from support.interruptions import KINDS, STAGES, Interrupted, Trial

TRIALS = 200
SEED = 5
#: One in so many is done again afterwards, to its end.
FINISH_EVERY = 10


def test_the_board_always_has_one_complete_release(
    small_bundle: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    bundle = only(small_bundle, ("fp32.pte",), tmp_path / "small.edgekit")
    layers = Path(pytestconfig.cache.mkdir("boards"))
    (tmp_path / "board").mkdir()
    moments = random.Random(SEED)
    trials: list[Trial] = []
    finished = over = 0
    with Board(tmp_path / "board", layers, layers=board_root.NATIVE, target=None, disk_mib=256) as board:
        interrupted = Interrupted(board, bundle)
        while len(trials) < TRIALS:
            trial = interrupted.kill_one(KINDS[len(trials) % len(KINDS)], moments.random())
            if trial.exit_code == 0:
                over += 1  # it was done before it could be killed
                continue
            trials.append(trial)
            print(len(trials), trial, flush=True)
            if len(trials) % FINISH_EVERY == 0:
                done = interrupted.finish()
                assert done.exit_code == 0, done.errors
                finished += 1
                interrupted.time_whole()  # the machine may be busier now, or less so
    print(f"{TRIALS} deployments killed (seed {SEED}), {over} were faster; each left a complete, working release")
    for kind in KINDS:
        stages = Counter(trial.stage for trial in trials if trial.kind == kind)
        print(f"  {kind:<10}", ", ".join(f"{stage}: {stages[stage]}" for stage in STAGES))
    print(
        f"  {sum(trial.release == 'new' for trial in trials)} had switched; {finished} of {finished} went through after"
    )
