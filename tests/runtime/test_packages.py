"""The versions that doctor calls proven are those that pyproject.toml installs."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from edgekit.runtime.engines.base import Package
from edgekit.runtime.packages import installed_packages, packages

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.name)
def test_bounds_are_those_of_the_project(package: Package) -> None:
    listed = PROJECT["optional-dependencies"][package.extra] if package.extra else PROJECT["dependencies"]
    assert package.name + package.bounds in [entry.partition(";")[0].strip() for entry in listed]


@pytest.mark.parametrize(("below", "bounds"), [("2.14", ">=2.13,<2.14"), (None, ">=2.13"), ("2.13", "==2.13")])
def test_bounds_are_written_as_pip_reads_them(below: str | None, bounds: str) -> None:
    assert Package("torch", None, "2.13", below, "").bounds == bounds


@pytest.mark.parametrize(
    ("version", "status"),
    [("2.13.0+cpu", "ok"), ("2.13.9", "ok"), ("2.14.0", "unproven"), ("2.9.1", "unproven"), (None, "missing")],
)
def test_a_version_is_judged(monkeypatch: pytest.MonkeyPatch, version: str | None, status: str) -> None:
    def installed(name: str) -> str:
        if name != "torch" or version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    torch = next(entry for entry in installed_packages() if entry.package.name == "torch")
    assert (torch.version, torch.status) == (version, status)
