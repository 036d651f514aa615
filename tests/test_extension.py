"""Another package brings a format with its exporter and engine, a kind of source, a recipe, a metric where less is
better, and a device: by entry points alone, and no file of edgekit knows them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import acme

pytestmark = pytest.mark.builds

PROJECT = """\
[project]
name = "scales"

[model]
file = "scales.linear"

[data]
evaluation = "evaluation.npz"

[metric]
name = "deviation"
"""


class Bench:
    """A folder with a project and a target of the other package's, and edgekit's command line with that installed."""

    def __init__(self, folder: Path):
        self.folder = folder
        site = folder / "site"
        site.mkdir()
        acme.install(site)
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
        self._environment["EDGEKIT_CACHE"] = str(folder / "cache")
        random = np.random.default_rng(0)
        weight, bias = random.normal(size=(8, 1)), random.normal(size=1)
        samples = random.normal(size=(64, 8)).astype(np.float32)
        noise = 0.001 * random.normal(size=64)
        labels = (samples @ weight + bias)[:, 0] + noise
        acme.write_source(folder / "scales.linear", weight, bias)
        np.savez(folder / "evaluation.npz", x=samples, y=labels.astype(np.float32))
        np.save(folder / "sample.npy", samples[:1])
        (folder / "edgekit.toml").write_text(PROJECT)
        (folder / "board.toml").write_text(acme.TARGET)
        self.bundle = folder / "build" / "scales-board.edgekit"
        self.expected = float((samples[:1] @ weight + bias)[0, 0])

    def edgekit(self, *words: str, code: int = 0) -> str:
        run = subprocess.run(
            ["edgekit", *words], cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == code, run.stderr
        return run.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.edgekit(*words, "--json"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("acme"))
    made.edgekit("build", ".", "--target", "board.toml")
    return made


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
    said = bench.edgekit("build", ".", "--target", "board.toml", "--max-drop", "0", code=3)
    assert "deviation" in said and "K above the float model" in said


def test_a_bare_model_file_is_built(bench: Bench) -> None:
    made = bench.json("build", "scales.linear", "--target", "board.toml", "--recipe", "coarse", "-o", "bare")
    assert [row["name"] for row in made["variants"]] == ["coarse.lin"]


@pytest.mark.parametrize("device", ["local", "bench"])
def test_it_runs_and_is_verified(bench: Bench, device: str) -> None:
    asked = (str(bench.bundle), "--on", device)
    outputs = bench.json("run", *asked, "--input", "sample.npy", "--variant", "fp32.lin")
    assert f"{bench.expected:.3f}"[:5] in json.dumps(outputs)
    rows = bench.json("verify", *asked)["rows"]
    assert {(row["variant"], row["engine"], row["status"]) for row in rows} == {
        ("fp32.lin", "acme", "passed"),
        ("coarse.lin", "acme", "passed"),
    }


def test_it_is_measured_and_its_names_are_in_the_report(bench: Bench) -> None:
    bench.edgekit("profile", str(bench.bundle), "--on", "bench", "--quick", "-o", "report.html")
    page = (bench.folder / "report.html").read_text()
    for name in ("fp32.lin", "coarse.lin", "acme", "bench", "Deviation"):
        assert name in page


def test_names_are_where_users_look(bench: Bench) -> None:
    shown = bench.edgekit("build", "--help")
    for name in ("coarse", "lin", ".linear"):
        assert name in shown
    assert "bench" in bench.edgekit("run", "--help")
    assert "lin" in bench.edgekit("targets", "board.toml")
    assert "acme" in bench.edgekit("doctor")
    assert "coarse" in bench.edgekit("inspect", str(bench.bundle))
