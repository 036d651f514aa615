"""What is installed on a test board: directories of unpacked Debian packages, made once and laid over one another."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgekit.devices.payload import debian

_SHELL = (
    "bash",
    "dash",
    "coreutils",
    "tar",
    "gzip",
    "sed",
    "grep",
    "mawk",
    "findutils",
    "libc-bin",
    "hostname",
    "util-linux",
)


@dataclass(frozen=True)
class Layer:
    """Debian packages of one architecture and release, with what they depend on."""

    architecture: str
    packages: tuple[str, ...]
    suite: str = debian.SUITE


_SERVER = ("openssh-server", "procps", *_SHELL)
_BASE = Layer("aarch64", _SERVER)

#: Raspberry Pi OS 12 as far as edgekit is concerned.
BOOKWORM = (_BASE, Layer("aarch64", ("python3", "libstdc++6")))
#: The same without Python.
NO_PYTHON = (_BASE,)
#: Raspberry Pi OS 11: glibc 2.31 and Python 3.9.
BULLSEYE = (Layer("aarch64", ("python3", "libstdc++6", *_SERVER), "bullseye"),)
#: A system for this machine's own processor, without Python: for many deployments in little time.
NATIVE = (Layer("x86_64", _SERVER),)
#: A 32-bit system: every program but the SSH server is one.
BOOKWORM_32_BIT = (_BASE, Layer("armv7l", _SHELL))


def directory(layer: Layer, cache: Path) -> Path:
    """Where *layer* lies in *cache*, fetched and unpacked by the first who asks."""
    key = hashlib.sha256(repr(layer).encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / key).is_dir():
            debian.unpack(layer.packages, layer.architecture, cache / key, lambda _: None, suite=layer.suite)
    return cache / key


def missing() -> str | None:
    """What the machine lacks for test boards, in one line; None when it lacks nothing."""
    programs = {
        "qemu-aarch64-static": "qemu-user-static",
        "qemu-arm-static": "qemu-user-static",
        "ssh": "openssh-client",
        "ssh-keygen": "openssh-client",
        "mkfs.ext4": "e2fsprogs",
        "mount": "mount",
        "pgrep": "procps",
    }
    packages = [package for program, package in programs.items() if shutil.which(program) is None]
    packages += debian.missing_tools()
    if packages:
        return f"apt-get install {' '.join(dict.fromkeys(packages))}"
    return None
