"""ncnn on emulated boards: the aarch64 wheel gives what the desktop's does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bundles import of_file
from support.ncnn_nets import file_of, net, signature

from edgekit.cli.main import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["image", "transformer"])
def test_boards_give_what_the_desktop_gives(
    name: str, emulator_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, inputs, outputs = net(name)
    bundle = of_file(file_of(name), "ncnn", "ncnn", signature(inputs, outputs), tmp_path / "net.edgekit")
    boards = ("emulator:rpi4", "emulator:rpi5")  # the second has arithmetic in half precision, which is not taken
    words = [word for board in boards for word in ("--on", board)]
    assert run(["verify", str(bundle), *words, "--json", "--quiet"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["device"], row["engine"], row["status"], row["threads"]) for row in rows] == [
        (board, "ncnn", "passed", 1) for board in boards
    ]
    assert all(row["matches_host"] is True and row["host_rel_diff"] <= 1e-5 for row in rows)
