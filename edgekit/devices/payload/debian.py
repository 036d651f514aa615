"""Debian packages for guests: fetched by a private apt and unpacked, with no root rights and nothing installed.

apt gets a configuration of its own (another architecture, an empty package database, Debian's own archive and
keys), so that the machine's packages are neither read nor changed. Maintainer scripts never run: what they would
make (users, keys, alternatives) is not there.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edgekit.digests import file_sha256
from edgekit.display import Log
from edgekit.errors import DeviceError
from edgekit.private import alone, home, making
from edgekit.runtime import children

#: Raspberry Pi OS 12 is this release: Python 3.11, glibc 2.36.
SUITE = "bookworm"

_MIRROR = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CONFIGURATION = Path(__file__).with_name("apt.conf")
_TOOLS = {"apt-get": "apt", "apt-config": "apt", "dpkg-deb": "dpkg", "tar": "tar"}

#: As `edgekit.runtime.machine.userland` names it -> as Debian does.
_ARCHITECTURES = {"aarch64": "arm64", "armv7l": "armhf", "x86_64": "amd64"}

#: Directories that are links into /usr on a Debian system; packages of release 12 still have files in both.
_MERGED = ("bin", "lib", "sbin")


def missing_tools() -> tuple[str, ...]:
    """Debian packages to install before `unpack` works here; empty when all is there."""
    missing = [package for tool, package in _TOOLS.items() if children.which(tool) is None]
    if not _KEYRING.is_file():
        missing.append("debian-archive-keyring")
    return tuple(dict.fromkeys(missing))


def unpack(packages: Sequence[str], architecture: str, into: Path, log: Log, *, suite: str = SUITE) -> None:
    """Make the directory *into* from the files of *packages* and of everything they depend on, and seal it.

    Which versions those are, the archive decides: it keeps the newest only. Its index is signed by Debian's keys, and
    each package has to have the hash that the index gives. Downloaded packages stay in ``$EDGEKIT_HOME/debian``, so
    that an interrupted download goes on where it was.

    Args:
        packages: Debian's names; ``name-`` keeps a package out.
        architecture: Of the guest: ``aarch64``, ``armv7l`` or ``x86_64``.
        into: What lies there already, and was not sealed, is replaced.
        suite: Release of Debian.

    Raises:
        DeviceError: ``EK-MISSING-PACKAGE``: apt, dpkg or Debian's keys are not on this machine; ``EK-DEVICE``: one
            of them failed; the message has its reason.
    """
    missing = missing_tools()
    if missing:
        what = f"fetching Debian packages needs {' and '.join(missing)}"
        raise DeviceError("EK-MISSING-PACKAGE", what, f"on Debian or Ubuntu: apt-get install {' '.join(missing)}")
    name = _ARCHITECTURES[architecture]
    cache = home() / "debian" / f"{suite}-{name}"
    log(f"fetching Debian packages for {architecture}: {' '.join(packages)}")
    with alone(cache):  # apt refuses where another one runs; this waits
        environment = children.environment(APT_CONFIG=str(_configure(cache, name, suite)), LC_ALL="C.UTF-8")
        _update(environment)
        files = _download(packages, cache / "archives", environment)
    with making(into) as root:
        for link in _MERGED:
            (root / "usr" / link).mkdir(parents=True)
            (root / link).symlink_to(f"usr/{link}")
        log(f"unpacking {len(files)} packages into {into}")
        for file in files:
            _extract(file, root)


def _configure(cache: Path, architecture: str, suite: str) -> Path:
    """Make apt's directories and its configuration file, and return that."""
    for name in ("state", "cache", "log", "lists/partial", "archives/partial", "empty"):
        (cache / name).mkdir(parents=True, exist_ok=True)
    (cache / "status").touch()
    (cache / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_MIRROR} {suite} main\n", encoding="utf-8")
    file = cache / "apt.conf"
    proxies = _call(["apt-config", "--format", '%F "%v";%n', "dump", "Acquire::http", "Acquire::https"])
    lines = [line for line in proxies.splitlines() if not line.endswith(' "";')]
    own = _CONFIGURATION.read_text(encoding="utf-8").format(cache=cache, architecture=architecture)
    file.write_text("\n".join([*lines, own]), encoding="utf-8")
    return file


def _update(environment: dict[str, str]) -> None:
    try:
        _call(["apt-get", "update", "--quiet=2"], environment)
    except DeviceError:
        # A mirror that is just being synchronised refuses for a moment.
        _call(["apt-get", "update", "--quiet=2"], environment)


def _download(packages: Sequence[str], archives: Path, environment: dict[str, str]) -> list[Path]:
    """The files of *packages* and of their dependencies, all there."""
    install = ["apt-get", "install", "--yes", "--quiet=2", "--download-only"]
    with tempfile.TemporaryDirectory() as empty:  # a plan leaves out what is already there
        plan = _call([*install, "--print-uris", "--option", f"Dir::Cache::archives={empty}", *packages], environment)
    _call([*install, *packages], environment)
    # Each line of the plan: 'URI' FILE SIZE HASH
    planned = [line.split() for line in plan.splitlines() if line.startswith("'")]
    for _, name, _, wanted in planned:
        _check(archives / name, wanted)
    return [archives / name for _, name, _, _ in planned]


def _check(package: Path, wanted: str) -> None:
    """Compare a package with its hash in the signed index: apt takes one that was there before by its size alone."""
    kind, _, digest = wanted.partition(":")
    if kind != "SHA256" or file_sha256(package) != digest:
        hint = f"rm {package}  and try again"
        raise DeviceError("EK-FOREIGN", f"{package.name} is not the package of Debian's index", hint)


def _extract(package: Path, root: Path) -> None:
    """Like ``dpkg-deb --extract``, which would replace the links of `_MERGED` by directories."""
    with tempfile.TemporaryFile() as files:
        _call(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=files)
        files.seek(0)
        _call(["tar", "--extract", "--keep-directory-symlink", "--file=-", "--directory", str(root)], stdin=files)


def _call(
    arguments: list[str],
    environment: dict[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> str:
    """What the command prints, unless that goes to *stdout*."""
    given = {} if environment is None else {"env": environment}
    result = children.run(arguments, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, **given)
    if result.returncode != 0:
        lines = result.stderr.splitlines()
        reason = next((line for line in lines if line.startswith("E:")), lines[0] if lines else "no reason given")
        hint = "is the package archive reachable? Try again: what was fetched is kept"
        raise DeviceError("EK-DEVICE", f"{arguments[0]} failed: {reason.removeprefix('E: ')[:300]}", hint)
    return result.stdout or ""
