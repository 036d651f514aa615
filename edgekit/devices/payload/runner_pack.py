"""The self-contained runner: what runs ``.tflite`` and ``.pte`` files on a device with no Python, and with any C
library, or none.

It brings its own loader, C and C++ libraries, so the device has to have a Linux kernel and a shell only. The engines'
libraries that it carries are those that the bundle's formats need, and no others: LiteRT's is 6 MB, ExecuTorch's are
17 MB. So there are three kinds of pack, each one part, and a device that is sent bundles of several kinds has several.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgekit.devices.payload import core, debian, wheels
from edgekit.devices.payload.core import NOTICES
from edgekit.devices.payload.part import Entry, Part, make_part
from edgekit.devices.payload.wheels import Wheel
from edgekit.digests import sha256
from edgekit.display import Log
from edgekit.engines import ENGINES
from edgekit.errors import DeviceError
from edgekit.private import home, is_sealed
from edgekit.runtime import native
from edgekit.runtime.engines import Engine
from edgekit.runtime.native import compilers

#: The script that starts it.
SCRIPT = "run.sh"

_LOADERS = {"aarch64": "ld-linux-aarch64.so.1", "x86_64": "ld-linux-x86-64.so.2"}
_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1")
#: What libLiteRt.so 2.3.0 asks for (measured: symbol versions): an older compiler's own libraries do not do.
_NEEDED = {"libc.so.6": b"GLIBC_2.34\0", "libstdc++.so.6": b"GLIBCXX_3.4.30\0"}

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


@dataclass(frozen=True)
class _LiteRT:
    """LiteRT's library, in a wheel for any Python."""

    key: str
    wheel: Path

    def entries(self) -> Iterator[Entry]:
        with zipfile.ZipFile(self.wheel) as archive:
            yield Entry(native.LITERT_LIBRARY, archive.read(f"ai_edge_litert/{native.LITERT_LIBRARY}"))
            licence = next(name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
            yield Entry("LICENSE.litert", archive.read(licence))
        yield Entry("NOTICE.litert", (NOTICES / "litert.txt").read_bytes())
        yield Entry("LICENSE.apache-2.0", (NOTICES / "apache-2.0.txt").read_bytes())


@cache
def engines() -> dict[str, Engine]:
    """File format -> the runner's engine for it."""
    return {format: engine for engine in ENGINES if engine.in_runner for format in engine.formats}


def versions() -> dict[str, str]:
    """The engines of the runner, with the versions that it brings."""
    return {each.name: wheels.requirement(each.package).partition("==")[2] for each in engines().values()}


def why_not(format: str, architecture: str) -> str | None:
    """Why no runner takes files of *format* on such devices, in one line; None when one does."""
    if format not in engines():
        return f"edgekit's runner takes {_formats()} files only"
    if architecture not in _LOADERS:
        return f"there is no runner for {architecture}, only for {' and '.join(_LOADERS)}"
    return None


def runner_part(
    architecture: str, formats: Collection[str], log: Log, *, page_bytes: int = 4096, download: bool = True
) -> Part:
    """The self-contained runner for *architecture*, with the engines for *formats*.

    Args:
        formats: ``tflite``, ``pte``; others are passed over.
        page_bytes: Of the device's memory: the libraries have to be laid out for that.
        download: False never asks the network.

    Raises:
        DeviceError: ``EK-DEVICE``: there is none for such a device, or for such files.
        EdgekitError: ``EK-MISSING-PACKAGE``, ``EK-ENGINE``: this machine lacks what goes in.
    """
    refusals = [why_not(format, architecture) for format in formats]
    if all(refusals):
        hint = f"build {_formats()} files" if architecture in _LOADERS else "a 64-bit system has one"
        raise DeviceError("EK-DEVICE", next(filter(None, refusals), "there is no file to run"), hint)
    program = core.runner(architecture, log)
    wanted = {each.name: each for format, each in sorted(engines().items()) if format in formats}
    held = [_library(each, architecture, log, download) for each in wanted.values()]
    names = [f"{name}-{versions()[name]}" for name in wanted]
    libraries = _libraries(architecture, log)
    parts = [native.key(architecture), sha256(_START.encode()), *(each.key for each in held)]
    parts += [sha256(path.read_bytes()) for path in libraries]

    def entries() -> Iterator[Entry]:
        yield Entry(native.RUNNER, program.read_bytes(), executable=True)
        found = {entry.path: entry for each in held for entry in each.entries()}  # both have Apache's licence
        yield from found.values()
        yield from _base(architecture, libraries)

    if page_bytes > 4096:
        check_pages(entries(), page_bytes)
    return make_part(f"edgekit-runner-{'-'.join(names)}", " ".join(parts), entries, log=log, runner=SCRIPT)


def check_pages(entries: Iterable[Entry], page_bytes: int) -> None:
    """Refuse a device whose pages of memory are larger than what one of the programs or libraries is laid out for.

    Raises:
        DeviceError: ``EK-DEVICE``.
    """
    for entry in entries:
        alignment = alignment_bytes(entry.data)
        if alignment is not None and alignment < page_bytes:
            pages = f"pages of {alignment >> 10} KiB, the device's have {page_bytes >> 10} KiB"
            raise DeviceError("EK-DEVICE", f"{entry.path} is laid out for {pages}", "boot a kernel with smaller pages")


def alignment_bytes(data: bytes) -> int | None:
    """The largest page that a 64-bit ELF file's segments fit, which is the least alignment of what is loaded; None
    for anything else. See elf(5)."""
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, start + index * size) for index in range(count)]
    return min((header[7] for header in headers if header[0] == 1), default=None)


def _base(architecture: str, libraries: tuple[Path, ...]) -> Iterator[Entry]:
    for path in libraries:
        yield Entry(path.name, path.read_bytes(), executable=path.name == _LOADERS[architecture])
    for name, notice in _NOTICES.items():
        yield Entry(name, (NOTICES / notice).read_bytes())
    start = _START.format(loader=_LOADERS[architecture], runner=native.RUNNER)
    yield Entry(SCRIPT, start.encode(), executable=True)


def _library(engine: Engine, architecture: str, log: Log, download: bool) -> core.Core | _LiteRT:
    if engine.package == core.PACKAGE:
        return core.core(architecture, log, download=download)
    # Only its C++ library is used: any Python's will do.
    wheel: Wheel = wheels.find(wheels.requirement(engine.package), None, architecture, None)
    return _LiteRT(wheel.sha256, wheels.obtain(wheel, log, download=download))


def _libraries(architecture: str, log: Log) -> tuple[Path, ...]:
    """Loader, C and C++ libraries: the compiler's own, or Debian's where there is no compiler, or an old one."""
    names = (_LOADERS[architecture], *_LIBRARIES)
    compiler = compilers.find(architecture)
    if compiler is not None:
        found = tuple(path for name in names if (path := compiler.library(name)) is not None)
        complete = len(found) == len(names)
        if complete and all(_NEEDED[path.name] in path.read_bytes() for path in found if path.name in _NEEDED):
            return found
    root = home() / "runner-libraries" / architecture
    if not is_sealed(root):
        debian.unpack(("libc6", "libstdc++6", "libgcc-s1"), architecture, root, log)
    return tuple(root / "usr/lib" / f"{architecture}-linux-gnu" / name for name in names)


def _formats() -> str:
    return " and ".join(f".{format}" for format in engines())
