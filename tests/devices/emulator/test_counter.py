"""Building qemu's plugin, and the machines where it cannot be. What it counts is tested with the boards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.devices.emulator import counter, qemu
from edgekit.errors import DeviceError, EdgekitError


@pytest.fixture
def real(system: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> qemu.Qemu:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    return qemu.require("aarch64")


def test_it_is_built_once(real: qemu.Qemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = counter.plugin(real)
    assert library.read_bytes()[:4] == b"\x7fELF"
    built = library.stat().st_mtime_ns
    assert counter.plugin(real) == library and library.stat().st_mtime_ns == built
    assert {path.name for path in library.parent.iterdir()} == {library.name, f"{library.name}.seal"}


def test_one_that_somebody_changed_is_not_loaded(real: qemu.Qemu) -> None:
    library = counter.plugin(real)
    library.write_bytes(library.read_bytes() + b"x")
    with pytest.raises(EdgekitError, match="is not as edgekit left it") as caught:
        counter.plugin(real)
    assert caught.value.code == "EK-FOREIGN"


def test_a_qemu_that_cannot_count_is_refused(real: qemu.Qemu) -> None:
    static, unknown = replace(real, plugins=False), replace(real, version=(99, 1))
    for candidate, said in ((static, "does not load plugins"), (unknown, "qemu 99.1 has a plugin interface")):
        with pytest.raises(DeviceError) as caught:
            counter.plugin(candidate)
        assert caught.value.code == "EK-MISSING-PACKAGE" and said in caught.value.message and caught.value.hint


def test_a_missing_or_broken_compiler_is_named(
    real: qemu.Qemu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        counter.plugin(real)
    assert caught.value.message == "counting instructions needs a C compiler"
    assert caught.value.hint == "apt-get install gcc libc6-dev"
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'cc: out of order' >&2\nexit 1\n")
    compiler.chmod(0o755)
    with pytest.raises(DeviceError) as caught:
        counter.plugin(real)
    assert caught.value.message == "cannot build qemu's plugin: cc: out of order"
