"""``edgekit init``: a project that is whole, from every example, and never over what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.cli.main import run
from edgekit.pipeline.project.sections import Project, load_project


def test_every_key_of_a_project_is_explained_in_the_one_that_init_writes(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path / "mine")]) == 0
    text = (tmp_path / "mine" / "edgekit.toml").read_text()
    assert load_project(tmp_path / "mine").name == "digits"
    for section, field in Project.model_fields.items():
        if section == "directory":
            continue
        assert f"[{section}]" in text, section
        annotation = next(
            (
                kind
                for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if hasattr(kind, "model_fields")
            ),
            None,
        )
        for key, part in annotation.model_fields.items() if annotation else ():
            assert (part.alias or key) in text, f"{section}.{key}"


def test_the_examples_are_listed_and_each_is_a_whole_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert set(listed) == {"digits", "digits_keras", "activity", "imagenet"}
    for name, summary in listed.items():
        assert summary
        assert run(["init", str(tmp_path / name), "--example", name, "--json"]) == 0
        written = json.loads(capsys.readouterr().out)
        assert not [file for file in written["files"] if "__pycache__" in file or "/build/" in file]
        assert load_project(tmp_path / name)


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.py").write_text("mine")
    assert run(["init", str(tmp_path)]) == 2
    assert "model.py is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"] and (tmp_path / "model.py").read_text() == "mine"


@pytest.mark.parametrize("below", ["", "below"])
@pytest.mark.parametrize("what", ["file", "loop"])
def test_what_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, below: str
) -> None:
    place = tmp_path / "taken"
    if what == "file":
        place.write_text("a file")
    else:
        place.symlink_to(place)
    assert run(["init", str(place / below)]) == 1
    error = capsys.readouterr().err
    assert "cannot write " in error and "[EK-WRITE]" in error and " hint: " in error


def test_an_unknown_example_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(tmp_path), "--example", "digit"]) == 2
    assert "did you mean 'digits'?" in capsys.readouterr().err
