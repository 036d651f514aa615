"""Debian packages for guests: really fetched, from Debian."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.devices.payload import debian
from edgekit.errors import DeviceError

pytestmark = pytest.mark.slow


def test_packages_and_what_they_need_are_unpacked(emulator_home: Path, tmp_path: Path) -> None:
    said: list[str] = []
    debian.unpack(["zlib1g"], "aarch64", tmp_path / "root", said.append)
    assert said[0].endswith("aarch64: zlib1g") and len(said) == 2
    assert (tmp_path / "root/lib").is_symlink() and (tmp_path / "root/lib").resolve() == tmp_path / "root/usr/lib"
    for name in ("libz.so.1", "libc.so.6"):  # the second is what the first depends on
        library = (tmp_path / "root/usr/lib/aarch64-linux-gnu" / name).read_bytes()
        assert library[:4] == b"\x7fELF" and library[18] == 0xB7  # e_machine: aarch64
    assert {path.name for path in tmp_path.iterdir()} == {"root", "root.seal"}


def test_apts_reason_is_told_and_nothing_is_left(emulator_home: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        debian.unpack(["no-such-package"], "aarch64", tmp_path / "root", lambda line: None)
    assert caught.value.message == "apt-get failed: Unable to locate package no-such-package"
    assert not list(tmp_path.iterdir())


def test_a_package_of_the_right_size_and_other_contents_is_refused(emulator_home: Path, tmp_path: Path) -> None:
    """apt itself takes it."""
    debian.unpack(["zlib1g"], "aarch64", tmp_path / "root", lambda line: None)
    (package,) = (emulator_home / "debian").glob("bookworm-arm64/archives/zlib1g_*.deb")
    whole = package.read_bytes()
    package.write_bytes(whole[:-100] + bytes(100))
    with pytest.raises(DeviceError, match=f"{package.name} is not the package of Debian's index") as caught:
        debian.unpack(["zlib1g"], "aarch64", tmp_path / "other", lambda line: None)
    assert caught.value.code == "EK-FOREIGN" and not (tmp_path / "other").exists()
    package.write_bytes(whole)
    debian.unpack(["zlib1g"], "aarch64", tmp_path / "other", lambda line: None)


def test_a_machine_without_apt_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        debian.unpack(["zlib1g"], "aarch64", tmp_path / "root", lambda line: None)
    assert caught.value.code == "EK-MISSING-PACKAGE"
    assert caught.value.message == "fetching Debian packages needs apt and dpkg and tar"
