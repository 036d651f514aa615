"""LiteRT.js for phones: fetched by one explicit step, exactly the pinned packages, and there offline after."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.shared import Shared

from edgekit.cli.main import run
from edgekit.devices.browser import assets
from edgekit.errors import EdgekitError, UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served as the npm registry which this machine is set up for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path / "registry"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()


def place(registry: Path, package: assets.Package, data: bytes) -> None:
    path = registry / package.name / "-" / package.tarball
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def tarballs() -> Path:
    """The real packages, from the real registry."""

    def fetch(folder: Path) -> None:
        for package in assets.packages():
            urllib.request.urlretrieve(
                f"{assets.REGISTRY}/{package.name}/-/{package.tarball}", folder / package.tarball
            )

    return Shared.once("litert.js-tarballs", fetch)


def why(report: list[str]) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        assets.set_up(report.append)
    assert caught.value.code == "EK-MISSING-PACKAGE" and "\n" not in caught.value.message
    return caught.value


def test_what_was_not_fetched_is_one_line_that_says_how_to_get_it(home: Path) -> None:
    with pytest.raises(EdgekitError) as caught:
        assets.load()
    assert caught.value.code == "EK-MISSING-PACKAGE" and caught.value.hint == "edgekit doctor --setup phone"


def test_every_package_is_pinned_by_version_and_sha512() -> None:
    assert [package.name for package in assets.packages()] == ["@litertjs/core", "@litertjs/wasm-utils"]
    for package in assets.packages():
        kind, _, digest = package.integrity.partition("-")
        assert kind == "sha512" and len(base64.b64decode(digest, validate=True)) == 64
        assert package.version == assets.version() and package.files
        assert not any("jspi" in kept.path for kept in package.files)


def test_a_registry_that_sends_something_else_is_not_believed(home: Path, registry: Path) -> None:
    place(registry, assets.packages()[0], b"something else")
    assert "another file" in why([]).message
    assert not home.exists() or not list(home.rglob("*"))


def test_a_registry_without_the_package_or_without_a_network_is_one_line(
    home: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report: list[str] = []
    error = why(report)
    assert "404" in error.message and report == ["fetching @litertjs/core 2.5.3 (12 MB) from 127.0.0.1"]
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
    error = why([])
    assert "Connection refused" in error.message
    assert error.hint is not None and "core-2.5.3.tgz" in error.hint and str(home) in error.hint


def test_npms_own_setting_names_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "https://mirror.example/npm/")
    assert assets.registry() == "https://mirror.example/npm"
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(UsageError, match="no address"):
        assets.registry()


@pytest.mark.slow
def test_setup_fetches_what_is_listed_once_and_mends_what_was_damaged(
    home: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in assets.packages():
        place(registry, package, (tarballs() / package.tarball).read_bytes())
    assert run(["doctor", "--setup", "phone"]) == 0
    said = capsys.readouterr()
    assert "LiteRT.js 2.5.3 is ready for phones" in said.out and said.err.count("fetching") == 2
    found = assets.load()
    for package in assets.packages():
        for kept in package.files:
            data = gzip.decompress(found[f"{package.folder}/{kept.path}"])
            if kept.path != "dist/index.js":  # one line of it is mended
                assert hashlib.sha256(data).hexdigest() == kept.sha256
    assert b"Apache License" in gzip.decompress(found["LICENSE.txt"])
    kept_names = {path.relative_to(assets.folder()).as_posix() for path in assets.folder().rglob("*.gz")}
    assert kept_names == {f"{package.folder}/{kept.path}.gz" for package in assets.packages() for kept in package.files}

    assert run(["doctor", "--setup", "phone"]) == 0 and "fetching" not in capsys.readouterr().err
    damaged = assets.folder() / "core/wasm/litert_wasm_internal.js.gz"
    damaged.write_bytes(gzip.compress(b"alert(1)"))
    with pytest.raises(EdgekitError, match="damaged"):
        assets.load()
    for package in assets.packages():  # without a network: files that were put there by hand
        (home / package.tarball).write_bytes((tarballs() / package.tarball).read_bytes())
        (registry / package.name / "-" / package.tarball).unlink()
    assert run(["doctor", "--setup", "phone", "--json"]) == 0
    assert assets.load().keys() == found.keys()
