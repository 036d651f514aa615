"""Guest instructions of a run, exactly, by a small plugin of qemu's that this machine's compiler makes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.devices.emulator.qemu import Qemu
from edgekit.digests import sha256
from edgekit.errors import DeviceError
from edgekit.private import home, is_sealed, private_folder, seal
from edgekit.runtime import children
from edgekit.runtime.remote import RemoteSession
from edgekit.writing import replacing

_SOURCE = Path(__file__).with_suffix(".c")

#: The plugin interface to build for, by qemu's major version: qemu 7 and 8 take version 1, 9 and 10 take 2 to 5.
_INTERFACES = {7: 1, 8: 1, 9: 2, 10: 2}

#: Runs that are counted. The first ones still fill caches in Python and in the engine; then the number settles.
_RUNS = 5

_MARK = struct.Struct("=Q")


def plugin(qemu: Qemu) -> Path:
    """The plugin for *qemu*, built unless it was built before.

    Raises:
        DeviceError: ``EK-MISSING-PACKAGE``: this qemu takes no such plugin, or there is no C compiler;
            ``EK-DEVICE``: the compiler failed.
        EdgekitError: ``EK-FOREIGN``: what lies there is not what was built.
    """
    why = why_not(qemu)
    if why is not None:
        raise DeviceError("EK-MISSING-PACKAGE", *why)
    source = _SOURCE.read_bytes()
    interface = _INTERFACES[qemu.version[0]]
    library = home() / "emulator" / f"counter-{interface}-{sha256(source)[:16]}.so"
    if not is_sealed(library):
        private_folder(library.parent)
        with replacing(library) as temporary:
            _compile(interface, temporary)
            seal(temporary, destination=library)
    return library


def why_not(qemu: Qemu) -> tuple[str, str] | None:
    """What keeps *qemu* from counting instructions, and what to do about it; None when nothing does."""
    if not qemu.plugins:
        hint = "qemu-user of Debian 12 (7.2) does; static builds, as in Debian 13, do not"
        return f"this qemu ({qemu.program}, {qemu.shown_version}) does not load plugins", hint
    if qemu.version[0] not in _INTERFACES:
        known = ", ".join(map(str, _INTERFACES))
        return f"qemu {qemu.shown_version} has a plugin interface that edgekit does not know", f"qemu {known} work"
    if _compiler() is None:
        return "counting instructions needs a C compiler", f"apt-get install {' '.join(missing_packages())}"
    return None


def missing_packages() -> tuple[str, ...]:
    """Debian packages without which the plugin cannot be built here."""
    return () if _compiler() else ("gcc", "libc6-dev")


def count(session: RemoteSession, sample: Sequence[np.ndarray], marks: Path) -> int:
    """The instructions of one inference of *sample*: the engine's and those of its Python binding.

    Args:
        session: In a process whose plugin writes to *marks*; of one thread.

    Raises:
        DeviceError: ``EK-DEVICE``: the plugin wrote something else than it should.
    """
    before = marks.stat().st_size if marks.exists() else 0
    session.run_marked(sample, _RUNS)
    written = marks.read_bytes()[before:] if marks.exists() else b""
    if len(written) != 2 * _RUNS * _MARK.size:
        raise DeviceError("EK-DEVICE", f"qemu's plugin wrote {len(written)} bytes", "is this qemu one of the known?")
    numbers = [number for (number,) in _MARK.iter_unpack(written)]
    return min(after - start for start, after in zip(numbers[::2], numbers[1::2], strict=True))


def _compile(interface: int, library: Path) -> None:
    options = ["-std=c11", "-D_GNU_SOURCE", f"-DPLUGIN_VERSION={interface}", "-O2"]
    command = [_compiler() or "cc", *options, "-shared", "-fPIC", "-fvisibility=hidden"]
    result = children.run([*command, "-o", str(library), str(_SOURCE)], capture_output=True)
    if result.returncode != 0:
        reason = next(iter(result.stderr.strip().splitlines()), f"exit code {result.returncode}")
        raise DeviceError("EK-DEVICE", f"cannot build qemu's plugin: {reason}", "does your compiler work?")


def _compiler() -> str | None:
    return children.which("cc") or children.which("gcc")
