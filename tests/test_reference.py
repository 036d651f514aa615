"""The pages that are made from the code say what the code says, and real documents are as their schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.json_schema import schema
from support.profiles import cell, profile
from support.reference import ROOT, SCHEMAS, exit_codes, pages, validator

from edgekit import errors
from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.profiling.files import write_profile
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import BoardState
from edgekit.schema import conform

PAGES = pages()
DOCS = ROOT / "docs"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run: python docs/generate.py"


def test_nothing_else_lies_beside_the_generated_pages() -> None:
    folders = {path.parent for path in PAGES} - {DOCS}
    assert {path for folder in folders for path in folder.iterdir()} == {path for path in PAGES if path.parent != DOCS}


def test_every_error_code_has_exit_codes_that_are_listed() -> None:
    found = exit_codes()
    assert all(found.values()), found
    assert {code for codes in found.values() for code in codes} <= errors.EXIT_CODES.keys()


Printed = Callable[..., Any]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The document that a verb prints, which ends with *exit_code*."""

    def call(*arguments: str | Path, exit_code: int = 0) -> Any:
        capsys.readouterr()
        given = run([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert given == exit_code, err
        return json.loads(out)

    return call


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One with everything that a profile may hold, and one that it fails against."""
    folder = tmp_path_factory.mktemp("profiles")
    write_profile(profile(), folder / "base.json")
    write_profile(replace(profile(), cells=(cell(4.0),)), folder / "new.json")
    return folder / "base.json", folder / "new.json"


def test_manifests(printed: Printed, small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        sealed = json.loads(bundle._raw("manifest.json", 1 << 20))
    assert len(sealed["sha256"]) == 64
    for document in (sealed, printed("inspect", small_bundle)):
        validator("manifest").validate(document)


def test_what_run_and_verify_print(printed: Printed, small_bundle: Path, tmp_path: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        (samples,) = bundle.check_vectors()[0].values()
    np.save(tmp_path / "sample.npy", samples[:1])
    validator("run").validate(printed("run", small_bundle, "--input", tmp_path / "sample.npy"))
    validator("verify").validate(printed("verify", small_bundle, "--variant", "fp32.tflite"))


def test_profiles(printed: Printed, profiles: tuple[Path, Path]) -> None:
    base, new = profiles
    validator("profile").validate(json.loads(base.read_text()))
    validator("findings").validate(printed("report", base))
    validator("compare").validate(printed("compare", base, new, exit_code=3))


def test_targets(printed: Printed) -> None:
    validator("target").validate(printed("targets", "rpi4"))
    validator("targets").validate(printed("targets"))


def test_what_is_said_of_this_machine(printed: Printed) -> None:
    validator("doctor").validate(printed("doctor"))
    validator("doctor").validate(printed("doctor", "ios"))


def test_what_was_written(printed: Printed, small_bundle: Path, tmp_path: Path) -> None:
    validator("init").validate(printed("init", tmp_path / "project"))
    validator("integrate").validate(printed("integrate", small_bundle, "--for", "web", "--out", tmp_path / "app"))


def test_what_a_verb_prints_that_fails(printed: Printed, tmp_path: Path) -> None:
    document = printed("inspect", tmp_path / "none.edgekit", exit_code=6)
    validator("error").validate(document)
    for name in {path.stem for path in SCHEMAS.glob("*.json")} - {"error"}:
        assert not validator(name).is_valid(document)


def test_what_build_prints(printed: Printed, digits_bundle: Path) -> None:
    digits = ROOT / "examples" / "digits"
    validator("build").validate(printed("build", digits, "--target", "rpi4", "--quiet"))


@pytest.mark.parametrize(
    "change",
    [
        {"created": 5},
        {"surplus": 1},
        {"settings": {}},
        {"cells": [{}]},
        {"schema_version": 2},
        {"kind": "something else"},
        {"notes": "a text"},
        {"devices": [None]},
    ],
    ids=str,
)
def test_a_schema_refuses_what_edgekit_refuses(change: dict[str, Any]) -> None:
    document = json.loads(json.dumps(profile().to_json()))
    assert validator("profile").is_valid(document)
    Profile.from_json(document)
    with pytest.raises(errors.UsageError):
        Profile.from_json({**document, **change})
    assert not validator("profile").is_valid({**document, **change})


def test_fields_without_a_default_are_required_and_described() -> None:
    made = schema(BoardState, title="a look at a machine")
    assert made["required"] == ["at_s"]
    assert made["properties"]["power_w"]["description"].startswith("What the board's own meter")
    conform(BoardState, {"at_s": 1.0})


def test_a_type_that_no_json_value_is_of_is_an_error() -> None:
    with pytest.raises(TypeError):
        schema(bytes, title="bytes")
