"""Building the core and its command-line runner, for this machine or with a cross compiler for another.

``python -m edgekit.runtime.native.build --into FOLDER`` builds both for x86_64 and aarch64, for a release.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.environments import home

_HERE = Path(__file__).parent

_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
#: The wheel's libraries were built with these, and its headers ask for them.
_DEFINITIONS = (
    "-DC10_USING_CUSTOM_GENERATED_MACROS",
    "-DET_EVENT_TRACER_ENABLED",
    "-DET_USE_THREADPOOL",
    f'-DEK_EXECUTORCH_VERSION="{native.EXECUTORCH}"',
)
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-O1", "-g")
#: The runner's sources beside the core's; it loads the engines' libraries itself.
_RUNNER = ("runner.cpp", "process.cpp", "executorch_engine.cpp", "litert_engine.cpp")
#: Segments that fit pages of 4, 16 and 64 KiB, as those of the wheels' libraries for aarch64 do.
_PAGES = "-Wl,-z,max-page-size=65536"
#: Backend and operators register themselves when they are loaded: the linker sees no use of them.
_REGISTERING = ("executorch_backend_xnnpack", "executorch_kernels_optimized", "executorch_kernels_quantized")
_USED = ("executorch", "executorch_threadpool", "executorch_etdump")


@dataclass(frozen=True)
class Built:
    """A folder with the core for one processor. The engines' libraries belong beside it, or on the loader's path."""

    architecture: str
    library: Path
    runner: Path


def build(architecture: str, executorch: Path, into: Path, *, sanitize: bool = False) -> Built:
    """Compile the core and the runner.

    Args:
        architecture: ``x86_64`` or ``aarch64``.
        executorch: An unpacked ``executorch`` package for it, with ``include/`` and ``lib/``.
        into: The folder to put them in; made when it is not there.
        sanitize: With the address and undefined-behaviour sanitizers.

    Raises:
        EdgekitError: ``EK-ENGINE``: no compiler, another version of executorch, or the compiler failed.
    """
    version = native.executorch_version(executorch)
    if version != native.EXECUTORCH:
        raise EdgekitError("EK-ENGINE", f"{executorch} is executorch {version}, the core needs {native.EXECUTORCH}")
    compiler = native.compiler(architecture)
    if compiler is None:
        hint = f"apt install {native.compiler_package(architecture)}"
        raise EdgekitError("EK-ENGINE", f"there is no C++ compiler for {architecture}", hint)
    into.mkdir(parents=True, exist_ok=True)
    flags = [*_FLAGS, *(_SANITIZERS if sanitize else ())]
    headers = executorch / "include"
    includes = ["-isystem", str(headers), "-isystem", str(headers / "executorch/runtime/core/portable_type/c10")]
    with tempfile.TemporaryDirectory(prefix="edgekit-native-") as folder:
        core = f"{folder}/core.o"
        linking = [*(_SANITIZERS if sanitize else ("-s",)), _PAGES, "-Wl,-rpath,$ORIGIN"]
        built = Built(architecture, into / native.LIBRARY, into / native.RUNNER)
        runner = [str(_HERE / name) for name in _RUNNER]
        _compile(
            [compiler, *flags, *_DEFINITIONS, *includes, "-c", str(_HERE / "core.cpp"), "-o", core],
            [compiler, *flags, *runner, "-o", str(built.runner), *linking, "-ldl"],
        )
        libraries = _libraries(executorch / "lib")
        _call(
            [compiler, "-shared", core, f"-Wl,-soname,{native.LIBRARY}", "-o", str(built.library), *linking, *libraries]
        )
    (into / "key").write_text(native.key(architecture), encoding="ascii")
    return built


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
    return build_once(platform.machine(), package) / native.LIBRARY


def build_once(architecture: str, executorch: Path) -> Path:
    """The folder that keeps the core for *architecture*, built unless it is there; two processes do not build it twice.

    Raises:
        EdgekitError: As `build`.
    """
    target = native.local(architecture)
    with _locked(home() / "native" / "lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as folder:
                build(architecture, executorch, Path(folder, "done"))
                Path(folder, "done").rename(target)
    return target


def _libraries(folder: Path) -> list[str]:
    return [
        f"-L{folder}",
        *(f"-l{name}" for name in _USED),
        "-Wl,--push-state,--no-as-needed",
        *(f"-l{name}" for name in _REGISTERING),
        "-Wl,--pop-state",
    ]


def _compile(*commands: Sequence[str]) -> None:
    """Run the compiler's *commands* side by side."""
    with ThreadPoolExecutor(len(commands)) as workers:
        list(workers.map(_call, commands))


def _call(command: Sequence[str]) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EdgekitError("EK-ENGINE", f"the C++ compiler did not start: {error}") from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        reason = lines[0].strip()[:300] if lines else f"exit code {result.returncode}"
        raise EdgekitError("EK-ENGINE", f"the ExecuTorch core does not build: {reason}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EdgekitError("EK-ENGINE", f"the ExecuTorch core cannot be kept: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str]) -> None:
    """Build the core for every processor a release carries it for."""
    parser = argparse.ArgumentParser(description="Build edgekit's ExecuTorch core for x86_64 and aarch64.")
    parser.add_argument("--into", type=Path, required=True, help="makes INTO/x86_64 and INTO/aarch64")
    parser.add_argument(
        "--executorch",
        action="append",
        default=[],
        metavar="ARCHITECTURE=PATH",
        help="a wheel or unpacked package of executorch; without it, pip downloads the wheel",
    )
    options = parser.parse_args(arguments)
    given = dict(entry.split("=", 1) for entry in options.executorch)
    with tempfile.TemporaryDirectory(prefix="edgekit-native-") as folder:
        for architecture in native.COMPILERS:
            package = _package(architecture, given.get(architecture), Path(folder, architecture))
            built = build(architecture, package, options.into / architecture)
            for path in (built.library, built.runner):
                print(f"{path}  {path.stat().st_size} bytes")


def _package(architecture: str, given: str | None, scratch: Path) -> Path:
    """An unpacked executorch package: the one that was named, the installed one, or one that pip downloads."""
    installed = native.executorch_package() if architecture == platform.machine() else None
    source = Path(given) if given else installed
    if source is None:
        print(f"downloading executorch {native.EXECUTORCH} for {architecture}")
        _download(architecture, scratch)
        source = next(scratch.glob("*.whl"))
    if source.is_dir():
        return source
    return unpack(source, scratch)


def _download(architecture: str, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--platform", f"manylinux_2_28_{architecture}", "--dest", str(into), f"executorch=={native.EXECUTORCH}"]
    if subprocess.run(command, check=False).returncode != 0:
        shutil.rmtree(into, ignore_errors=True)
        raise EdgekitError("EK-ENGINE", f"pip cannot download executorch {native.EXECUTORCH} for {architecture}")


if __name__ == "__main__":
    main(sys.argv[1:])
