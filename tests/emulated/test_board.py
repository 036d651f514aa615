"""The test board itself is what the other tests take it for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.board import Board

pytestmark = pytest.mark.slow


def test_it_is_an_arm64_raspberry_pi(board: Board) -> None:
    answer = board.exec("uname -m; getconf GNU_LIBC_VERSION; cat /sys/firmware/devicetree/base/model; python3 -V")
    assert answer.stdout.replace("\0", "\n").split("\n")[:4] == [
        "aarch64",
        "glibc 2.36",
        "Raspberry Pi 4 Model B Rev 1.0",
        "Python 3.11.2",
    ]


def test_a_power_loss_keeps_what_was_synced_and_no_more(board: Board) -> None:
    board.exec("echo yes >synced; sync synced; echo no >unsynced")
    board.kill()
    board.start()
    assert board.exec("cat synced unsynced").stdout == "yes\n"


def test_switching_off_leaves_nothing_behind(layer_cache: Path, tmp_path: Path) -> None:
    with Board(tmp_path, layer_cache) as board:
        board.exec("echo yes >unsynced; sleep 600 >/dev/null 2>&1 &")
    board.start()
    assert board.exec("cat unsynced; ps -A -o comm | grep -c sleep").stdout == "yes\n0\n"
    board.stop()
    left = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in left
