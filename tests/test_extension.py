"""Packages from outside bring a format with its exporter and engine, a kind of source, a recipe, a metric where less is
better, and a device: by entry points alone, and no file of edgekit knows them. They are those of docs/adding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import adding

pytestmark = pytest.mark.builds


class Bench:
    """A project's folder, and edgekit's command line with the packages installed."""

    def __init__(self, folder: Path):
        self.folder = folder
        site = folder / "site"
        site.mkdir()
        adding.install(site, folder)
        paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        self._environment = {**os.environ, "PYTHONPATH": paths, "EDGEKIT_CACHE": str(folder / "cache")}
        self.bundle = folder / "build" / "scales-board.edgekit"

    def call(self, *words: str, code: int = 0) -> str:
        program = {"python": sys.executable}.get(words[0], words[0])
        run = subprocess.run(
            [program, *words[1:]], cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == code, run.stderr
        return run.stdout

    def edgekit(self, *words: str, code: int = 0) -> str:
        return self.call("edgekit", *words, code=code)

    def json(self, *words: str) -> Any:
        return json.loads(self.edgekit(*words, "--json"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.call("python", "-m", "linear_source")
    made.edgekit("build", ".", "--target", "board.toml")
    return made


@pytest.mark.parametrize("page", adding.pages())
def test_what_a_page_ends_in_runs(bench: Bench, page: str) -> None:
    found = [bench.call(*words) for words in adding.commands(page)]
    assert any(found)


def test_a_source_is_built_scored_and_recommended(bench: Bench) -> None:
    made = bench.json("build", ".", "--target", "board.toml")
    assert made["metric"] == {"name": "deviation", "unit": "K", "higher_is_better": False}
    rows = {row["name"]: row for row in made["variants"]}
    assert set(rows) == {"fp32.lin", "coarse.lin"} and {row["status"] for row in rows.values()} == {"ok"}
    assert rows["coarse.lin"]["accuracy"] > rows["fp32.lin"]["accuracy"]
    assert rows["coarse.lin"]["accuracy_drop"] > 0 == rows["fp32.lin"]["accuracy_drop"]
    assert made["recommended"]["variant"] in rows and "deviation" in made["recommended"]["reason"]
    assert {row["agreement"] for row in rows.values()} == {None}


def test_a_limit_holds_for_what_gets_larger(bench: Bench) -> None:
    said = bench.edgekit("build", ".", "--target", "board.toml", "--max-drop", "0", "-o", "limited", code=3)
    assert "deviation" in said and "K above the float model" in said


def test_a_bare_model_file_is_built(bench: Bench) -> None:
    made = bench.json("build", "scales.linear", "--target", "board.toml", "--recipe", "coarse", "-o", "bare")
    assert [row["name"] for row in made["variants"]] == ["coarse.lin"]


@pytest.mark.parametrize("device", ["local", "bench"])
def test_it_runs_and_is_verified(bench: Bench, device: str) -> None:
    asked = (str(bench.bundle), "--on", device)
    bench.edgekit("run", *asked, "--input", "sample.npy", "--variant", "fp32.lin", "--output", f"{device}.npz")
    stored = json.loads((bench.folder / "scales.linear").read_text())
    expected = np.load(bench.folder / "sample.npy") @ np.array(stored["weight"]) + stored["bias"]
    np.testing.assert_allclose(np.load(bench.folder / f"{device}.npz")["y"], expected, rtol=1e-5)
    rows = bench.json("verify", *asked)["rows"]
    assert {(row["variant"], row["engine"], row["status"]) for row in rows} == {
        ("fp32.lin", "matmul", "passed"),
        ("coarse.lin", "matmul", "passed"),
    }


def test_it_is_measured_and_its_names_are_in_the_report(bench: Bench) -> None:
    bench.edgekit("profile", str(bench.bundle), "--on", "bench", "--quick", "-o", "profile.json")
    bench.edgekit("report", "profile.json", "-o", "report.html")
    page = (bench.folder / "report.html").read_text()
    for name in ("fp32.lin", "coarse.lin", "matmul", "bench", "Deviation"):
        assert name in page


def test_names_are_where_users_look(bench: Bench) -> None:
    shown = bench.edgekit("build", "--help")
    for name in ("coarse", "lin", ".linear"):
        assert name in shown
    for verb in ("run", "verify", "profile"):
        assert "bench" in bench.edgekit(verb, "--help")
    assert "lin" in bench.edgekit("targets", "board.toml")
    assert "matmul" in bench.edgekit("doctor")
    assert "coarse" in bench.edgekit("inspect", str(bench.bundle))
