"""A bundle for ncnn on an emulated Raspberry Pi 4: its package is sent alone, and runs there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.board import Board
from support.bundles import of_file
from support.commands import edgekit
from support.ncnn_nets import file_of, net, signature

pytestmark = pytest.mark.slow


def test_it_is_deployed_and_runs_there(board: Board, tmp_path: Path) -> None:
    _, inputs, outputs = net("image")
    bundle = of_file(file_of("image"), "ncnn", "ncnn", signature(inputs, outputs), tmp_path / "net.edgekit")
    sent = edgekit("deploy", bundle, "--on", board.url, "--json", environment=board.environment).document
    sizes = {part["name"].rpartition("-")[0]: part["size_bytes"] for part in sent["parts"]}
    assert sizes.keys() == {"edgekit", "click", "numpy", "ncnn"} and sizes["ncnn"] < 6e6
    (row,) = edgekit("verify", bundle, "--on", board.url, "--json", environment=board.environment).document["rows"]
    assert (row["engine"], row["status"]) == ("ncnn", "passed")
