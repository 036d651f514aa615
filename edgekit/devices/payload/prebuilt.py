"""The native core and the runner for a release: ``python -m edgekit.devices.payload.prebuilt --into FOLDER``.

A release carries both for every processor, so that its users need no compiler.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekit.devices.payload import wheels
from edgekit.runtime import native
from edgekit.runtime.native import build, compilers


def main(arguments: Sequence[str]) -> None:
    """Build both for each processor; what executorch is needed and not installed is fetched, by its hash."""
    parser = argparse.ArgumentParser(description="Build edgekit's ExecuTorch core for x86_64 and aarch64.")
    parser.add_argument("--into", type=Path, required=True, help="makes INTO/x86_64 and INTO/aarch64")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edgekit-native-") as folder:
        for architecture in compilers.ARCHITECTURES:
            into = options.into / architecture
            build.build(architecture, _package(architecture, Path(folder, architecture)), into)
            for name in (native.LIBRARY, native.RUNNER):
                print(f"{into / name}  {(into / name).stat().st_size} bytes")


def _package(architecture: str, scratch: Path) -> Path:
    """An unpacked executorch package: the installed one, or the pinned wheel."""
    installed = native.executorch_package()
    if architecture == platform.machine() and installed is not None:
        return installed
    wheel = wheels.find(f"executorch=={native.EXECUTORCH}", None, architecture, None)
    return build.unpack(wheels.obtain(wheel, print), scratch)


if __name__ == "__main__":
    main(sys.argv[1:])
