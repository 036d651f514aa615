"""Building the core and its command-line runner, for this machine or with a cross compiler for another.

`edgekit.devices.payload.prebuilt` builds both for every processor, for a release.
"""

from __future__ import annotations

import platform
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.private import alone, is_sealed, making
from edgekit.runtime import children, native
from edgekit.runtime.native import compilers
from edgekit.runtime.native.compilers import Compiler

_HERE = Path(__file__).parent

_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
#: The wheel's libraries were built with these, and its headers ask for them.
_DEFINITIONS = (
    "-DC10_USING_CUSTOM_GENERATED_MACROS",
    "-DET_EVENT_TRACER_ENABLED",
    "-DET_USE_THREADPOOL",
    f'-DEK_EXECUTORCH_VERSION="{native.EXECUTORCH}"',
)
#: The runner's sources beside the core's; it loads the engines' libraries itself.
_RUNNER = ("runner.cpp", "process.cpp", "executorch_engine.cpp", "litert_engine.cpp")
#: Without symbols; segments fit pages of 4, 16 and 64 KiB, as those of the wheels' libraries for aarch64 do.
_LINKING = ("-s", "-Wl,-z,max-page-size=65536", "-Wl,-rpath,$ORIGIN")
#: Some only register themselves when they are loaded: the linker sees no use of them.
_LIBRARIES = ("-Wl,--no-as-needed", *(f"-l{name[3:-3]}" for name in native.EXECUTORCH_LIBRARIES))


def build(architecture: str, executorch: Path, into: Path) -> None:
    """Put the core's library, the runner and the key that names them into a folder: see `native.prebuilt`.

    Arguments and errors as for `build_library`.
    """
    build_library(architecture, executorch, into)
    build_runner(architecture, into)
    (into / "key").write_text(native.key(architecture), encoding="ascii")


def build_library(architecture: str, executorch: Path, into: Path) -> None:
    """Compile the core. The engines' libraries belong beside it, or on the loader's path.

    Args:
        architecture: ``x86_64`` or ``aarch64``.
        executorch: An unpacked ``executorch`` package for it, with ``include/`` and ``lib/``.
        into: The folder to put it in; made when it is not there.

    Raises:
        EdgekitError: ``EK-ENGINE``: no compiler, another version of executorch, or the compiler failed.
    """
    version = native.executorch_version(executorch)
    if version != native.EXECUTORCH:
        raise EdgekitError("EK-ENGINE", f"{executorch} is executorch {version}, the core needs {native.EXECUTORCH}")
    compiler = _compiler(architecture)
    into.mkdir(parents=True, exist_ok=True)
    headers = executorch / "include"
    includes = ["-isystem", str(headers), "-isystem", str(headers / "executorch/runtime/core/portable_type/c10")]
    compiling = [*compiler.compiling_core, *_FLAGS, *_DEFINITIONS, *includes]
    linking = [*compiler.linking_core, "-shared", f"-Wl,-soname,{native.LIBRARY}", *_LINKING]
    libraries = [f"-L{executorch / 'lib'}", *_LIBRARIES]
    with tempfile.TemporaryDirectory(prefix="edgekit-native-") as folder:
        core = f"{folder}/core.o"
        _call([*compiler.command, *compiling, "-c", str(_HERE / "core.cpp"), "-o", core])
        _call([*compiler.command, core, "-o", str(into / native.LIBRARY), *linking, *libraries])


def build_runner(architecture: str, into: Path) -> None:
    """Compile the command-line runner. Arguments and errors as for `build_library`."""
    compiler = _compiler(architecture)
    into.mkdir(parents=True, exist_ok=True)
    sources = [str(_HERE / name) for name in _RUNNER]
    command = [*compiler.command, *_FLAGS, *sources]
    _call([*command, "-o", str(into / native.RUNNER), *_LINKING, "-ldl"])


def unpack(wheel: Path, into: Path) -> Path:
    """What `build` takes, from a wheel of executorch: its headers, libraries and version."""
    wanted = ("executorch/include/", "executorch/lib/lib", "executorch/version.py")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into, [name for name in archive.namelist() if name.startswith(wanted)])
    return into / "executorch"


def build_here() -> Path:
    """The core's library for this machine, built unless it is there.

    Raises:
        EdgekitError: ``EK-ENGINE``, with what `edgekit.runtime.native.why_not` says, or the compiler's error.
    """
    reason = native.why_not()
    if reason is not None:
        raise EdgekitError("EK-ENGINE", f"executorch cannot run here: {reason}")
    found = native.library()
    if found is not None:
        return found
    package = native.executorch_package()
    assert package is not None  # why_not looked
    return library_once(platform.machine(), package) / native.LIBRARY


def library_once(architecture: str, executorch: Path) -> Path:
    """The folder that keeps the core for *architecture*, built unless it is there; two processes do not build it twice.

    Raises:
        EdgekitError: As `build_library`; ``EK-FOREIGN``: what lies there is not what was built.
    """
    return _once(architecture, native.LIBRARY, lambda into: build_library(architecture, executorch, into))


def runner_here() -> Path:
    """The runner for this machine, built unless it is there. Raises `EdgekitError` as `build_runner`."""
    return native.runner() or runner_once(platform.machine()) / native.RUNNER


def runner_once(architecture: str) -> Path:
    """As `library_once`, for the runner."""
    return _once(architecture, native.RUNNER, lambda into: build_runner(architecture, into))


def _once(architecture: str, name: str, make: Callable[[Path], None]) -> Path:
    target = native.local(architecture, name)
    with alone(target.parent):
        if not is_sealed(target):
            with making(target) as fresh:
                make(fresh)
    return target


def _compiler(architecture: str) -> Compiler:
    compiler = compilers.find(architecture)
    if compiler is None:
        what = f"there is no C++ compiler for {architecture}"
        raise EdgekitError("EK-ENGINE", what, compilers.install_hint(architecture))
    return compiler


def _call(command: Sequence[str]) -> None:
    try:
        result = children.run(command, capture_output=True)
    except OSError as error:
        raise EdgekitError("EK-ENGINE", f"the C++ compiler did not start: {error}") from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        reason = lines[0].strip()[:300] if lines else f"exit code {result.returncode}"
        raise EdgekitError("EK-ENGINE", f"edgekit's native code does not build: {reason}")
