"""Versions of packages, as `importlib.metadata` has them, without it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from edgekit.runtime.installed import package_version


def test_packages_here_however_they_are_spelled() -> None:
    names = sorted({each.metadata["Name"] for each in metadata.distributions()})
    assert len(names) > 50
    for index, name in enumerate(names[::4]):
        spelled = (name, name.upper(), re.sub(r"[-_.]", "_", name))[index % 3]
        assert package_version(spelled) == metadata.version(name), name
    assert package_version("no-such-package") is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Odd_Name-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: odd.name\nVersion: 1.2+cpu\n\nVersion: 9\n"),
        ("odd_name-1.2.egg-info", "Name: odd-name\nVersion: 1.2+cpu\n"),
        ("odd_name.egg-info/PKG-INFO", "Name: odd-name\nVersion: 1.2+cpu\n"),
    ],
)
def test_all_that_pip_and_older_tools_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, text: str
) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_version("odd-name") == metadata.version("odd-name") == "1.2+cpu"
    assert package_version("odd") is None


def test_a_package_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("zipped-3.dist-info/METADATA", "Metadata-Version: 2.1\nName: zipped\nVersion: 3\n")
    monkeypatch.syspath_prepend(str(tmp_path / "a.zip"))
    assert package_version("zipped") == "3"


def test_it_brings_nothing() -> None:
    program = (
        "import sys; from edgekit.runtime.installed import package_version; assert package_version('numpy');"
        "print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
