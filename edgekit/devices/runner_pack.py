"""The self-contained runner: what runs ``.pte`` files on a device with no Python, and with any C library, or none.

It brings its own loader, C and C++ libraries, so the device has to have a Linux kernel and a shell only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit.bundle import sha256
from edgekit.devices.core import NOTICES, Core, core
from edgekit.devices.part import Entry, Part, make_part
from edgekit.runtime import native
from edgekit.runtime.environments import home

#: The script that starts it.
SCRIPT = "run.sh"

_LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1")

_START = """\
#!/bin/sh
# Starts edgekit-runner with the loader and libraries beside it.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
exec "$here/{loader}" --library-path "$here" "$here/{runner}" "$@"
"""

_NOTICES = {
    "NOTICE.runtime-libraries": "runtime-libraries.txt",
    "LICENSE.lgpl-2.1": "lgpl-2.1.txt",
    "LICENSE.gpl-3": "gpl-3.txt",
}


def runner_part(architecture: str, report: Callable[[str], None], *, download: bool = True) -> Part:
    """The self-contained runner for *architecture*.

    Args:
        report: Called with one line for each slow step.
        download: False never asks the network.

    Raises:
        DeviceError: ``EK-DEVICE``: there is none for such a device.
        EdgekitError: ``EK-MISSING-PACKAGE``, ``EK-ENGINE``: this machine lacks what goes in.
    """
    made = core(architecture, report, download=download)
    libraries = _libraries(architecture, report)
    key = " ".join([made.key, sha256(_START.encode()), *(sha256(path.read_bytes()) for path in libraries)])
    return make_part(
        f"edgekit-runner-{native.EXECUTORCH}",
        key,
        lambda: _entries(architecture, made, libraries),
        report=report,
        runner=SCRIPT,
    )


def _entries(architecture: str, made: Core, libraries: tuple[Path, ...]) -> Iterator[Entry]:
    yield from made.entries(native.RUNNER)
    for path in libraries:
        yield Entry(path.name, path.read_bytes(), executable=path.name == _LOADERS[architecture])
    for name, notice in _NOTICES.items():
        yield Entry(name, (NOTICES / notice).read_bytes())
    start = _START.format(loader=_LOADERS[architecture], runner=native.RUNNER)
    yield Entry(SCRIPT, start.encode(), executable=True)


def _libraries(architecture: str, report: Callable[[str], None]) -> tuple[Path, ...]:
    """Loader, C and C++ libraries: the compiler's own, or Debian's where there is no compiler."""
    names = (_LOADERS[architecture], *_LIBRARIES)
    compiler = native.compiler(architecture)
    if compiler is not None:
        return tuple(_of_compiler(compiler, name) for name in names)
    from edgekit.devices.emulator import debian

    root = home() / "runner-libraries" / architecture
    if not root.is_dir():
        debian.unpack(("libc6", "libstdc++6", "libgcc-s1"), architecture, root, report)
    return tuple(root / "usr/lib" / f"{architecture}-linux-gnu" / name for name in names)


def _of_compiler(compiler: str, library: str) -> Path:
    command = [compiler, f"-print-file-name={library}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())
