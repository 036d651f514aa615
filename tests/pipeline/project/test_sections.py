"""edgekit.toml: what is accepted, and how each mistake is said, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.project.sections import load_project, split_reference

GOOD = """\
[project]
name = "digits"

[model]
framework = "torch"
factory = "model.py:build"

[data]
train = "data.py:train"
evaluation = "data.py:evaluation"
calibration = { from = "train", samples = 64 }
labels = ["zero", "one"]

[preprocessing]
scale = 0.5
mean = [0.1]
std = [0.3]
layout = "channels-first"

[training]
epochs = 3

[limits]
max_drop = 0.3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text("def build():\n    ...\n")
    (tmp_path / "data.py").write_text("def train():\n    ...\n\ndef evaluation():\n    ...\n")
    (tmp_path / "edgekit.toml").write_text(GOOD)
    return tmp_path


def refused(folder: Path, old: str, new: str) -> UsageError:
    assert old in GOOD
    (folder / "edgekit.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_project(folder)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_good_project_is_read_from_its_folder_or_its_file(folder: Path) -> None:
    for path in (folder, folder / "edgekit.toml"):
        project = load_project(path)
        assert project.name == "digits"
        assert project.training is not None and project.training.epochs == 3
        preprocessing = project.preprocessing
        assert preprocessing is not None and preprocessing.value().scale == 0.5


@pytest.mark.parametrize(
    ("old", "new", "line", "meant"),
    [
        ("[training]", "[trainig]", 20, "training"),
        ("epochs", "epocs", 21, "epochs"),
        ("framework", "framwork", 5, "framework"),
        ("evaluation =", "evaluaton =", 10, "evaluation"),
        ("layout", "layuot", 18, "layout"),
        ("max_drop", "max_dorp", 24, "max_drop"),
        ("samples = 64", "sample = 64", 11, "samples"),
        ("name =", "nmae =", 2, "name"),
        ('"torch"', '"troch"', 5, "torch"),
        ('"channels-first"', '"channel-first"', 18, "channels-first"),
        ("model.py:build", "modle.py:build", 6, "model.py"),
        ("model.py:build", "model.py:bild", 6, "build"),
    ],
)
def test_a_misspelling_is_shown_at_its_line_with_what_was_meant(
    folder: Path, old: str, new: str, line: int, meant: str
) -> None:
    error = refused(folder, old, new)
    assert f"edgekit.toml:{line}:" in error.message
    assert error.hint == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("epochs = 3", "epochs = 0", 21, "greater than 0"),
        ("epochs = 3", 'epochs = "many"', 21, "integer"),
        ("std = [0.3]", "std = [0.0]", 17, "greater than 0"),
        ("std = [0.3]", "std = [0.3, 0.4]", 17, "differ in length"),
        ("max_drop = 0.3", "max_drop = -1", 24, "greater than or equal to 0"),
        ('train = "data.py:train"\n', "", 19, "needs data.train"),
        ('factory = "model.py:build"', "", 4, "factory"),
        ('factory = "model.py:build"', 'factory = "model.py"', 6, "names no function"),
        ("[limits]", '[metric]\nname = "acuracy"\n\n[limits]', 24, "unknown metric"),
        ("max_drop = 0.3", "max_drop = nan", 24, "finite"),
        ("[limits]", '[metric]\nname = "mae"\n\n[limits]\nmin_accuracy = 90', 27, "mae is not"),
        ("[limits]", '[metric]\nname = "mae"\nunit = "K"\n\n[limits]', 23, "of its own"),
        ("[limits]", '[build]\nrecipes = ["int4"]\n\n[limits]', 24, "unknown recipe"),
        ('name = "digits"', 'name = "a b"', 2, "pattern"),
        ('name = "digits"', 'name = "digits', 2, "not valid TOML"),
    ],
)
def test_a_wrong_value_is_shown_at_its_line(folder: Path, old: str, new: str, line: int, says: str) -> None:
    error = refused(folder, old, new)
    assert f"edgekit.toml:{line}:" in error.message
    assert says in error.message


def test_a_missing_section_is_named(folder: Path) -> None:
    start, end = GOOD.index("[data]"), GOOD.index("[preprocessing]")
    assert "[data] is missing" in refused(folder, GOOD[start:end], "").message


def test_a_package_that_the_project_requires_is_looked_for(folder: Path) -> None:
    error = refused(folder, 'name = "digits"', 'name = "digits"\nrequires = ["no-such-package==1.0"]')
    assert error.code == "EK-MISSING-PACKAGE"
    assert error.hint == "pip install no-such-package==1.0"
    error = refused(folder, 'name = "digits"', 'name = "digits"\nrequires = ["numpy==0.1"]')
    assert "0.1 is required" in error.message


def test_there_has_to_be_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*edgekit\.toml"):
        load_project(tmp_path)


def test_references_split_at_the_function() -> None:
    assert split_reference("src/model.py:build") == ("src/model.py", "build")
    assert split_reference("model.keras") == ("model.keras", None)
    assert split_reference("C:/models/net.pt2") == ("C:/models/net.pt2", None)
