"""A real deployment to an emulated Raspberry Pi 4 with Python: there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.board import Board
from support.bundles import only
from support.commands import edgekit, finish, start

from edgekit.bundle import Bundle

pytestmark = pytest.mark.slow

VARIANTS = ("int8.tflite", "int8.pte")
PROGRAM = """\
import edgekit, numpy
with edgekit.load("edgekit/apps/digits/current/digits.edgekit", variant="int8.pte") as model:
    print(model(dict(numpy.load("edgekit/apps/digits/current/sample.npz"))).tolist())
"""


@pytest.fixture(scope="module")
def bundle(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return only(digits_bundle, VARIANTS, tmp_path_factory.mktemp("int8") / "digits.edgekit")


@pytest.fixture(scope="module")
def deployed(board: Board, bundle: Path) -> dict[str, Any]:
    """What the first deployment said."""
    return dict(edgekit("deploy", bundle, "--on", board.url, "--json", environment=board.environment).document)


def current(board: Board) -> str:
    return (board.home / "edgekit/apps/digits/current").readlink().name


def test_what_is_sent_is_small(deployed: dict[str, Any]) -> None:
    assert deployed["sent_bytes"] <= 45e6
    sizes = {part["name"].rpartition("-")[0]: part["size_bytes"] for part in deployed["parts"]}
    assert sizes["executorch"] + sizes["edgekit"] + sizes["click"] <= 6e6


def test_three_lines_of_python_run_the_model_there(board: Board, bundle: Path, deployed: dict[str, Any]) -> None:
    answer = board.exec(f"edgekit/apps/digits/current/bin/python - <<'END'\n{PROGRAM}END")
    assert answer.returncode == 0, answer.stderr
    with Bundle.open(bundle) as opened:
        _, (expected,) = (list(part.values()) for part in opened.check_vectors())
    assert np.argmax(json.loads(answer.stdout)) == np.argmax(expected[0])


def test_every_variant_is_verified_there(board: Board, bundle: Path, deployed: dict[str, Any]) -> None:
    rows = edgekit("verify", bundle, "--on", board.url, "--json", environment=board.environment).document["rows"]
    assert {(row["variant"], row["engine"]) for row in rows if row["status"] == "passed"} == {
        ("int8.tflite", "litert"),
        ("int8.pte", "executorch"),
    }


def test_twice_the_same_sends_nothing(board: Board, bundle: Path, deployed: dict[str, Any]) -> None:
    again = edgekit("deploy", bundle, "--on", board.url, "--json", environment=board.environment).document
    assert (again["sent_bytes"], again["changed"], again["release"]) == (0, False, deployed["release"])


def test_a_second_version_and_back(board: Board, digits_bundle: Path, deployed: dict[str, Any], tmp_path: Path) -> None:
    second = only(digits_bundle, ("int8.pte",), tmp_path / "digits.edgekit")
    # Two at once: the second is told of the first, or finds it done.
    both = [start("deploy", second, "--on", board.url, "--json", environment=board.environment) for _ in range(2)]
    done = [finish(process) for process in both]
    assert sorted(one.exit_code for one in done) in ([0, 0], [0, 4])
    for one in done:
        assert one.exit_code == 0 or "is being deployed to by" in "".join(one.errors)
    new = current(board)
    assert new != deployed["release"]
    back = edgekit("rollback", "--on", board.url, "--json", environment=board.environment).document
    assert (back["release"], back["previous"], current(board)) == (deployed["release"], new, deployed["release"])
    forth = edgekit("rollback", "--on", board.url, "--json", environment=board.environment).document
    assert (forth["release"], current(board)) == (new, new)
