"""edgekit's native core and the ExecuTorch libraries it stands on, for a device's architecture."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.devices import wheels
from edgekit.devices.part import Entry, Part, make_part
from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.native import build

NOTICES = Path(__file__).parent / "notices"


@dataclass(frozen=True)
class Core:
    """What runs ``.pte`` files on one architecture.

    Attributes:
        key: Names exactly these binaries.
        folder: Holds the core's library and runner.
        wheel: The wheel of executorch that has the other libraries.
    """

    key: str
    folder: Path
    wheel: Path

    def entries(self, *own: str) -> Iterator[Entry]:
        """The files *own* of edgekit, every ExecuTorch library, and the notices that go with them.

        Which operators a model leaves outside its delegate, the file alone knows: so all libraries travel.
        """
        for name in own:
            yield Entry(name, (self.folder / name).read_bytes(), executable=name == native.RUNNER)
        with zipfile.ZipFile(self.wheel) as archive:
            for name in native.EXECUTORCH_LIBRARIES:
                yield Entry(name, archive.read(f"executorch/lib/{name}"))
            licence = next(name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
            yield Entry("LICENSE.executorch", archive.read(licence))
        yield Entry("NOTICE.executorch", (NOTICES / "executorch.txt").read_bytes())
        yield Entry("LICENSE.apache-2.0", (NOTICES / "apache-2.0.txt").read_bytes())


def core(architecture: str, report: Callable[[str], None], *, download: bool = True) -> Core:
    """The core for *architecture*: the one this package brings, or one built here from the wheel's headers.

    Args:
        report: Called with one line before a download and before a build.
        download: False never asks the network.

    Raises:
        DeviceError: ``EK-DEVICE``: ExecuTorch has no libraries for such a device.
        EdgekitError: ``EK-MISSING-PACKAGE``: the wheel is not here; ``EK-ENGINE``: there is no prebuilt core,
            and no compiler for *architecture* on this machine.
    """
    found = wheels.find(f"executorch=={native.EXECUTORCH}", None, architecture, None)
    folder = native.prebuilt(architecture) or native.local(architecture)
    if not folder.is_dir() and native.compiler(architecture) is None:  # said before the download
        hint = f"on Debian or Ubuntu: apt-get install {native.compiler_package(architecture)}"
        reason = f"this edgekit brings no ExecuTorch core for {architecture}, and no compiler to build it is here"
        raise EdgekitError("EK-MISSING-PACKAGE", reason, hint)
    wheel = wheels.obtain(found, report, download=download)
    if not folder.is_dir():
        report(f"building the ExecuTorch core for {architecture}")
        with tempfile.TemporaryDirectory(prefix="edgekit-executorch-") as scratch:
            build.build_once(architecture, build.unpack(wheel, Path(scratch)))
    return Core(f"{native.key(architecture)} {found.sha256}", folder, wheel)


def core_part(architecture: str, report: Callable[[str], None], *, download: bool = True) -> Part:
    """The part with which a device's Python runs ``.pte`` files; arguments and errors as `core`."""
    made = core(architecture, report, download=download)
    return make_part(
        f"executorch-{native.EXECUTORCH}", made.key, lambda: made.entries(native.LIBRARY), report=report, native_path=""
    )
