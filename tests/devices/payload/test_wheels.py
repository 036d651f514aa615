"""Wheels for devices: which file, from where, and what is said when there is none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgekit.devices.payload import wheels
from edgekit.errors import DeviceError, EdgekitError, UsageError
from edgekit.runtime import native
from edgekit.runtime.packages import is_proven, packages

BOOKWORM = ("3.11.2", "aarch64", "2.36")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


@pytest.mark.parametrize("architecture", ["aarch64", "x86_64"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("package", ["numpy", "ai-edge-litert", "executorch", "click"])
def test_every_64_bit_device_has_every_package(package: str, python: str, architecture: str) -> None:
    wheel = wheels.find(wheels.requirement(package), python, architecture, "2.36")
    assert wheel.package == package
    assert wheel.architecture in (None, architecture)
    assert wheel.python in (None, python)


def test_a_32_bit_board_has_tflite_runtime_alone() -> None:
    assert wheels.find("tflite-runtime==2.14.0", "3.11", "armv7l", "2.36").architecture == "armv7l"
    native_ones = {wheel.package for wheel in wheels.wheels() if wheel.architecture == "armv7l"}
    assert native_ones == {"tflite-runtime"}


def test_what_is_sent_is_what_edgekit_is_proven_with() -> None:
    bounds = {package.name: package for package in packages()}
    for wheel in wheels.wheels():
        if wheel.package in bounds:
            assert is_proven(bounds[wheel.package], wheel.version)
    assert wheels.requirement("executorch") == f"executorch=={native.EXECUTORCH}"


@pytest.mark.parametrize(
    ("requirement", "device", "message", "hint"),
    [
        ("ai-edge-litert==2.3.0", ("3.11", "aarch64", "2.31"), "needs glibc 2.34, the device has 2.31", "Bookworm"),
        ("numpy==2.4.6", ("3.9.2", "aarch64", "2.31"), "no numpy 2.4.6 for Python 3.9", "3.11 or 3.12 or 3.13"),
        ("numpy==2.4.6", ("3.11", "armv7l", "2.36"), "no numpy 2.4.6 for armv7l", "64-bit"),
        ("tflite-runtime==2.14.0", ("3.13", "armv7l", "2.41"), "no tflite-runtime 2.14.0 for Python 3.13", "3.11"),
        ("executorch==1.5.1", ("3.11", "riscv64", "2.36"), "no executorch 1.5.1 for riscv64", "aarch64"),
    ],
)
def test_what_a_device_lacks_is_said(requirement: str, device: tuple[str, str, str], message: str, hint: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        wheels.find(requirement, *device)
    assert caught.value.code == "EK-DEVICE"
    assert hint in str(caught.value.hint)


def test_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="not sent to devices") as caught:
        wheels.find("numpy==1.26.4", *BOOKWORM)
    assert "numpy==2.4.6" in str(caught.value.hint)


def test_a_wheel_is_fetched_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    path = wheels.obtain(wheels.find(wheels.requirement("click"), *BOOKWORM), lines.append)
    assert path.parent == home / "wheels" and path.stat().st_size == 126_163
    assert lines == ["fetching click-8.5.1-py3-none-any.whl (0.1 MB)"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert wheels.obtain(wheels.find(wheels.requirement("click"), *BOOKWORM), lines.append, download=False) == path
    assert len(lines) == 1


def test_a_damaged_wheel_is_not_used(home: Path, offline: None) -> None:
    wheel = wheels.find(wheels.requirement("click"), *BOOKWORM)
    damaged = home / "wheels" / wheel.file
    damaged.parent.mkdir()
    damaged.write_bytes(b"half a file")
    assert wheels.cached(wheel) is None
    with pytest.raises(EdgekitError) as caught:
        wheels.obtain(wheel, lambda line: None)
    assert caught.value.code == "EK-MISSING-PACKAGE"
    assert f"cannot fetch {wheel.file}" in caught.value.message and "\n" not in caught.value.message
    assert f"or put {wheel.file} from pypi.org into {damaged.parent}" in str(caught.value.hint)
    assert list(damaged.parent.iterdir()) == [damaged]


def test_another_file_of_the_same_name_is_refused(home: Path) -> None:
    wheel = wheels.find(wheels.requirement("click"), *BOOKWORM)
    with pytest.raises(EdgekitError, match="is another file than the pinned one") as caught:
        wheels.obtain(dataclasses.replace(wheel, sha256="0" * 64), lambda line: None)
    assert caught.value.code == "EK-MISSING-PACKAGE"
    assert list((home / "wheels").iterdir()) == []


def test_nothing_is_downloaded_unasked(home: Path) -> None:
    lines: list[str] = []
    with pytest.raises(EdgekitError, match=r"numpy-2.4.6.*\(16.0 MB\) is needed") as caught:
        wheels.obtain(wheels.find(wheels.requirement("numpy"), *BOOKWORM), lines.append, download=False)
    assert "edgekit deploy fetches it" in str(caught.value.hint)
    assert lines == [] and not (home / "wheels").exists()


def test_a_python_without_pip_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(EdgekitError, match="needs pip, which") as caught:
        wheels.obtain(wheels.find(wheels.requirement("click"), *BOOKWORM), lambda line: None)
    assert caught.value.code == "EK-MISSING-PACKAGE" and "-m ensurepip, or put" in str(caught.value.hint)
