"""edgekit's native core and the ExecuTorch libraries it stands on, for a device's architecture."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import edgekit
from edgekit.devices.payload import wheels
from edgekit.devices.payload.part import Entry, Part, make_part
from edgekit.display import Log
from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.native import build, compilers

#: The distribution in place of whose wheel devices are sent a part with the core.
PACKAGE = "executorch"
NOTICES = Path(__file__).parent / "notices"


@dataclass(frozen=True)
class Core:
    """What runs ``.pte`` files on one architecture.

    Attributes:
        key: Names exactly these binaries.
        folder: Holds the core's library.
        wheel: The wheel of executorch that has the other libraries.
    """

    key: str
    folder: Path
    wheel: Path

    def entries(self) -> Iterator[Entry]:
        """The core's library, every ExecuTorch library, and the notices that go with them.

        Which operators a model leaves outside its delegate, the file alone knows: so all libraries travel.
        """
        yield Entry(native.LIBRARY, (self.folder / native.LIBRARY).read_bytes())
        with zipfile.ZipFile(self.wheel) as archive:
            for name in native.EXECUTORCH_LIBRARIES:
                yield Entry(name, archive.read(f"executorch/lib/{name}"))
            licence = next(name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
            yield Entry("LICENSE.executorch", archive.read(licence))
        yield Entry("NOTICE.executorch", (NOTICES / "executorch.txt").read_bytes())
        yield Entry("LICENSE.apache-2.0", (NOTICES / "apache-2.0.txt").read_bytes())


def core(architecture: str, log: Log, *, download: bool = True) -> Core:
    """The core for *architecture*, with the libraries it needs.

    Args:
        download: False never asks the network.

    Raises:
        DeviceError: ``EK-DEVICE``: ExecuTorch has no libraries for such a device.
        EdgekitError: ``EK-MISSING-PACKAGE``: nothing is prebuilt, and the wheel or a compiler for *architecture* is not
            here; ``EK-ENGINE``: the compiler failed; ``EK-FOREIGN``: what was built is not what lies there now.
    """
    wheel = wheels.find(f"executorch=={native.EXECUTORCH}", None, architecture, None)
    folder = native.prebuilt(architecture) or native.built(architecture, native.LIBRARY)
    if folder is None:
        _require_compiler("ExecuTorch core", architecture)  # said before the download
    path = wheels.obtain(wheel, log, download=download)
    if folder is None:
        log(f"building the ExecuTorch core for {architecture}")
        with tempfile.TemporaryDirectory(prefix="edgekit-executorch-") as scratch:
            folder = build.library_once(architecture, build.unpack(path, Path(scratch)))
    return Core(f"{native.key(architecture)} {wheel.sha256}", folder, path)


def runner(architecture: str, log: Log) -> Path:
    """The runner's program for *architecture*: the one this package brings, or one built here.

    Raises:
        EdgekitError: As for `core`.
    """
    folder = native.prebuilt(architecture) or native.built(architecture, native.RUNNER)
    if folder is None:
        _require_compiler("runner", architecture)
        log(f"building the runner for {architecture}")
        folder = build.runner_once(architecture)
    return folder / native.RUNNER


def _require_compiler(what: str, architecture: str) -> None:
    if compilers.find(architecture) is None:
        reason = f"this edgekit brings no {what} for {architecture}, and no compiler to build it is here"
        raise EdgekitError("EK-MISSING-PACKAGE", reason, compilers.install_hint(architecture))


def core_part(architecture: str, log: Log, *, download: bool = True) -> Part:
    """The part with which a device's Python runs ``.pte`` files; arguments and errors as `core`."""
    made = core(architecture, log, download=download)
    return make_part(f"executorch-{native.EXECUTORCH}", made.key, made.entries, log=log, native_path="")


def runner_part(architecture: str, log: Log) -> Part | None:
    """The part with the runner alone, by which a device's Python has LiteRT trace its operators; None where there is
    none for *architecture*, and no compiler for it here: the device does without.

    Raises:
        EdgekitError: ``EK-ENGINE``, ``EK-FOREIGN``: as `core`.
    """
    if architecture not in compilers.ARCHITECTURES:
        return None
    try:
        program = runner(architecture, log)
    except EdgekitError as error:
        if error.code != "EK-MISSING-PACKAGE":
            raise
        log(f"operators of .tflite files cannot be traced there: {error.message}")
        return None

    def entries() -> Iterator[Entry]:
        yield Entry(native.RUNNER, program.read_bytes(), executable=True)
        yield Entry("LICENSE", (NOTICES / "apache-2.0.txt").read_bytes())

    name = f"edgekit-runner-{edgekit.__version__}"
    return make_part(name, native.key(architecture), entries, log=log, native_path="")
