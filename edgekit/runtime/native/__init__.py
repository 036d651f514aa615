"""The torch-free ExecuTorch core and the runner: where they are, and what is missing where they are not.

The core is a small C++ library over those of the ``executorch`` package, which carry XNNPACK and the operators and
need no torch. The runner is a program for devices without Python (boards over SSH, phones over adb): it runs ``.pte``
files by the core and ``.tflite`` files by LiteRT's own library, whichever the model asks for, and loads no other. A
release brings both built for x86_64 and aarch64; elsewhere they are built at their first use, in seconds.
"""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

from edgekit import digests
from edgekit.errors import EdgekitError
from edgekit.private import home, is_sealed
from edgekit.runtime.installed import package_folders

#: The only version of executorch the core works with: its libraries promise no stable binary interface.
EXECUTORCH = "1.5.1"

#: Number of the C interface in ``core.h``.
INTERFACE = 3

LIBRARY = "libedgekit_executorch.so"
RUNNER = "edgekit-runner"

#: LiteRT's library, by the name under which the runner loads it, and the version in which the runner knows it: it comes
#: without headers and promises no stable interface.
LITERT_LIBRARY = "libLiteRt.so"
LITERT = "2.3"

#: What the core links to, in the order in which they can be loaded one by one.
EXECUTORCH_LIBRARIES = (
    "libexecutorch.so",
    "libexecutorch_threadpool.so",
    "libexecutorch_etdump.so",
    "libexecutorch_backend_xnnpack.so",
    "libexecutorch_kernels_optimized.so",
    "libexecutorch_kernels_quantized.so",
)

_HERE = Path(__file__).parent


def library() -> Path | None:
    """The core's library, or None where it is not built.

    Looked for in the folders of ``$EDGEKIT_NATIVE``, in this package, and among those that were built before.

    Raises:
        EdgekitError: ``EK-FOREIGN``: what was built is not what lies there now, or others could put it there.
    """
    return _find(LIBRARY)


def runner() -> Path | None:
    """The same for the runner."""
    return _find(RUNNER)


def _find(name: str) -> Path | None:
    for given in filter(None, os.environ.get("EDGEKIT_NATIVE", "").split(os.pathsep)):
        if Path(given, name).exists():
            return Path(given, name)
    folder = prebuilt(platform.machine()) or built(platform.machine(), name)
    return None if folder is None else folder / name


def prebuilt(architecture: str) -> Path | None:
    """The folder in this package that holds library and runner for *architecture*, or None.

    What was built from other sources than those beside it is left alone.
    """
    folder = _HERE / "lib" / architecture
    try:
        fits = (folder / "key").read_text(encoding="ascii") == key(architecture)
    except OSError:
        return None
    return folder if fits else None


def local(architecture: str, name: str) -> Path:
    """The folder for the `LIBRARY` or the `RUNNER` that is built on this machine; sealed once it is complete."""
    return home() / "native" / key(architecture) / Path(name).stem


def built(architecture: str, name: str) -> Path | None:
    """The same, or None as long as it is not complete.

    Raises:
        EdgekitError: ``EK-FOREIGN``: what lies there is not what was built.
    """
    folder = local(architecture, name)
    return folder if is_sealed(folder) else None


@cache
def key(architecture: str) -> str:
    """What a build depends on, as a name for a folder."""
    digest = digests.new()
    digest.update(f"{EXECUTORCH} {architecture}".encode())
    made_by = ("build.py", "compilers.py")
    for source in sorted(path for path in _HERE.iterdir() if path.suffix in (".cpp", ".h") or path.name in made_by):
        digest.update(source.read_bytes())
    return f"{architecture}-{digest.hexdigest()[:16]}"


def executorch_package() -> Path | None:
    """The folder of the installed ``executorch`` package, or None. Imports nothing."""
    return next((folder for folder in package_folders("executorch") if (folder / "lib").is_dir()), None)


def executorch_version(package: Path) -> str | None:
    """The version of an unpacked ``executorch`` package without what follows a plus sign, or None."""
    try:
        text = (package / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"__version__ = \"([^\"+]+)", text)
    return found[1] if found else None


def executorch_libraries(core: Path) -> Path | None:
    """The folder of the libraries that *core*, a path that `library` gave, needs; None where there are none.

    Those beside it come first, then those of the installed package, in exactly the version it was built for.
    """
    if all((core.parent / name).exists() for name in EXECUTORCH_LIBRARIES):
        return core.parent
    package = executorch_package()
    if package is None or executorch_version(package) != EXECUTORCH:
        return None
    return package / "lib"


def why_not() -> str | None:
    """What keeps the core from running here, in one line; None when it runs, or will once it is built."""
    try:
        core = library()
    except EdgekitError as error:  # it was changed
        return f"{error.message}: {error.hint}"
    if core is not None and executorch_libraries(core) is not None:
        return None
    from edgekit.runtime.native import compilers  # nobody needs one whose core is built

    architecture = platform.machine()
    if architecture not in compilers.ARCHITECTURES:
        return f"executorch has no libraries for {architecture}"
    package = executorch_package()
    if package is None:
        return f"the executorch package is not installed: pip install --no-deps executorch=={EXECUTORCH}"
    version = executorch_version(package)
    if version != EXECUTORCH:
        return f"executorch {version} is installed, edgekit's core needs exactly {EXECUTORCH}"
    if core is None and compilers.find(architecture) is None:
        lacking = "this edgekit brings no built core, and there is no C++ compiler to build it"
        return f"{lacking}: {compilers.install_hint(architecture)}"
    return None
