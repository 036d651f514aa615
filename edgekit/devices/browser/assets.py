"""LiteRT.js for phones: fetched once from the npm registry, exactly the packages that ``assets.toml`` lists.

What is kept lies under ``$EDGEKIT_HOME/litert.js-VERSION``, compressed as it is sent, with the licence. Nothing here
runs any of it, and no npm is needed.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgekit.display import Log
from edgekit.documents import read_toml
from edgekit.errors import EdgekitError, UsageError
from edgekit.private import home, private_folder
from edgekit.runtime import children
from edgekit.schema import conform
from edgekit.writing import write_error

REGISTRY = "https://registry.npmjs.org"
#: The explicit step that fetches what is missing.
SETUP = "edgekit doctor --setup phone"

_DATA = Path(__file__).with_suffix(".toml")
_LICENCE = Path(__file__).parents[1] / "payload" / "notices" / "apache-2.0.txt"
_NOTICE = """\
LiteRT.js {version}: the files in core/ and wasm-utils/ are those of the npm packages
{packages},
https://github.com/google-ai-edge/LiteRT, under the Apache License, Version 2.0, whose text is LICENSE.txt.
One thing is changed when they are served: core/dist/index.js imports wasm-utils by its path, because a worker has no
import map.
"""
_TIMEOUT_S = 60.0
#: A worker has no import map, so that it cannot import a bare name.
_MENDED = ("core/dist/index.js", b'from "@litertjs/wasm-utils"', b'from "../../wasm-utils/dist/index.js"')


@dataclass(frozen=True)
class Kept:
    """One file of a package, by its path in it."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Package:
    """One package of the npm registry.

    Attributes:
        integrity: ``sha512-`` and the base64 of the SHA-512 of its tarball, as the registry gives it.
        size_bytes: Of the tarball.
        folder: Where its files lie here, and in the addresses that a phone asks for.
        files: What is kept of it.
    """

    name: str
    version: str
    integrity: str
    size_bytes: int
    folder: str
    files: tuple[Kept, ...]

    @property
    def tarball(self) -> str:
        """The file's name in the registry."""
        return f"{self.name.rpartition('/')[2]}-{self.version}.tgz"

    def is_tarball(self, data: bytes) -> bool:
        """Whether *data* is exactly this package."""
        return self.integrity == "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")


@cache
def packages() -> tuple[Package, ...]:
    """The packages that phones are served from."""
    found: tuple[Package, ...] = conform(tuple[Package, ...], read_toml(_DATA)[1]["packages"])
    return found


def version() -> str:
    """Of LiteRT.js."""
    return packages()[0].version


def folder() -> Path:
    """Where the files lie once they were fetched."""
    return home() / f"litert.js-{version()}"


def load() -> Mapping[str, bytes]:
    """Every file by its path (``core/dist/index.js``), compressed by gzip; each was found to be the pinned one.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: they were not fetched yet, or are damaged.
    """
    if not folder().is_dir():
        raise EdgekitError("EK-MISSING-PACKAGE", "phones need LiteRT.js, which was not fetched yet", SETUP)
    found = {name: (folder() / name).read_bytes() for name in ("LICENSE.txt", "NOTICE.txt")}
    found = {name: _compress(data) for name, data in found.items()}
    for package in packages():
        for kept in package.files:
            name = f"{package.folder}/{kept.path}"
            compressed = _read(name, kept)
            if compressed is None:
                hint = f"rm -r {folder()} && {SETUP}"
                raise EdgekitError("EK-MISSING-PACKAGE", f"LiteRT.js is damaged: {folder() / name}.gz", hint)
            file, bare, path = _MENDED
            found[name] = _compress(gzip.decompress(compressed).replace(bare, path)) if name == file else compressed
    return found


def set_up(log: Log) -> Path:
    """Fetch what is not here yet.

    Returns:
        The folder; there, whole and unchanged.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: the registry cannot be reached, or has something else under that name;
            ``EK-SPACE``, ``EK-WRITE``: it cannot be kept.
    """
    try:
        load()
        return folder()
    except EdgekitError:
        pass
    fetched = [(package, _obtain(package, log)) for package in packages()]
    try:
        private_folder(home())
        with tempfile.TemporaryDirectory(prefix=".litert.js-", dir=home()) as name:
            new = Path(name) / "new"
            for package, tarball in fetched:
                _unpack(package, tarball, new / package.folder)
            (new / "LICENSE.txt").write_bytes(_LICENCE.read_bytes())
            named = ",\n".join(f"{package.name} {package.version}" for package in packages())
            (new / "NOTICE.txt").write_text(_NOTICE.format(version=version(), packages=named), encoding="utf-8")
            if folder().exists():
                os.replace(folder(), Path(name) / "damaged")
            os.replace(new, folder())
    except OSError as error:
        with contextlib.suppress(EdgekitError):  # another edgekit was faster
            load()
            return folder()
        raise write_error(folder(), error) from error
    return folder()


def registry() -> str:
    """The npm registry that this machine is set up for: that of npm's own settings, or else the public one.

    Raises:
        UsageError: ``EK-ARGUMENT``: the settings name something that is no address.
    """
    # npm reads these names in any case.
    named = next((value for key, value in os.environ.items() if key.lower() == "npm_config_registry" and value), None)
    address = (named or _npm_setting() or REGISTRY).strip().rstrip("/")
    if urllib.parse.urlsplit(address).scheme not in ("https", "http"):
        raise UsageError(
            "EK-ARGUMENT", f"npm's registry is set to {address!r}, which is no address", "as in " + REGISTRY
        )
    return address


def _npm_setting() -> str | None:
    npm = children.which("npm")
    if npm is None:
        return None
    try:
        answer = children.run(
            [npm, "config", "get", "registry"],
            capture_output=True,
            timeout=20,
            cwd=Path(npm).parent,  # settings of the project that somebody happens to be in do not count
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    line = answer.stdout.strip()
    return line if answer.returncode == 0 and line.startswith("http") else None


def _obtain(package: Package, log: Log) -> bytes:
    """The package's tarball: one that was put into edgekit's folder by hand, or the registry's."""
    by_hand = home() / package.tarball
    if by_hand.is_file():
        data = by_hand.read_bytes()
        if package.is_tarball(data):
            return data
    address = f"{registry()}/{package.name}/-/{package.tarball}"
    shown = urllib.parse.urlsplit(address)
    log(f"fetching {package.name} {package.version} ({package.size_bytes / 1e6:.2g} MB) from {shown.hostname}")
    problem = ""
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
            data = answer.read(package.size_bytes + 1)
    except urllib.error.HTTPError as error:
        problem = f"the registry answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        problem = str(getattr(error.reason, "strerror", None) or error.reason)
    except (OSError, ValueError) as error:
        problem = str(error)
    else:
        # Whatever it came through: no other bytes than the pinned ones are ever opened.
        problem = "" if package.is_tarball(data) else "what the registry sent is another file"
    if problem:
        url = f"{REGISTRY}/{package.name}/-/{package.tarball}"
        hint = f"connect and try again, or put {url} into {home()}"
        raise EdgekitError("EK-MISSING-PACKAGE", f"cannot fetch {package.name}: {' '.join(problem.split())}", hint)
    return data


def _unpack(package: Package, tarball: bytes, into: Path) -> None:
    """Write what is kept of *package*, each file compressed; no path of the tarball is ever written to."""
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        for kept in package.files:
            stream = archive.extractfile(f"package/{kept.path}")
            assert stream is not None  # the integrity was right, so the listing is
            path = into / f"{kept.path}.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_compress(stream.read(kept.size_bytes)))


def _read(name: str, kept: Kept) -> bytes | None:
    """The compressed file, or None when it is not the pinned one."""
    try:
        compressed = (folder() / f"{name}.gz").read_bytes()
        engine = zlib.decompressobj(wbits=31)
        data = engine.decompress(compressed, kept.size_bytes + 1)
    except (OSError, zlib.error):
        return None
    return compressed if hashlib.sha256(data).hexdigest() == kept.sha256 else None


def _compress(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
