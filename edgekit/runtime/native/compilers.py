"""What compiles the core and the runner: a compiler of this machine's, or the one in the package ``ziglang``.

zig compiles its own libc++ when it first links a runner for a processor, which takes a minute, and keeps that in a
cache of its own. The core needs none of it.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from edgekit.runtime import children
from edgekit.runtime.installed import package_folders

#: Processor -> what its compilers are called after. The one in ``$CXX`` comes first on a machine of that processor.
ARCHITECTURES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}

#: glibc's version that zig builds for: older than what any wheel of executorch asks for.
_GLIBC = "2.17"


@dataclass(frozen=True)
class Compiler:
    """How to call a C++ compiler for one processor.

    Attributes:
        command: The program, and what it is always given.
        compiling_core, linking_core: What it is given besides for the core.
        own_libraries: It comes with a C and a C++ library to run with, as `library` finds them.
    """

    command: tuple[str, ...]
    compiling_core: tuple[str, ...] = ()
    linking_core: tuple[str, ...] = ()
    own_libraries: bool = True

    def library(self, name: str) -> Path | None:
        """The file of a library that it comes with, as in ``libstdc++.so.6``."""
        if not self.own_libraries:
            return None
        command = [*self.command, f"-print-file-name={name}"]
        found = children.run(command, capture_output=True).stdout.strip()
        return Path(found) if found and Path(found).is_file() else None


def find(architecture: str) -> Compiler | None:
    """A compiler whose programs run on *architecture*: what ``$CXX`` names, g++, ziglang's, or None."""
    return _of_machine(architecture) or _zig(architecture)


def package(architecture: str) -> str:
    """Debian's package with one."""
    return "g++" if architecture == platform.machine() else f"g++-{architecture.replace('_', '-')}-linux-gnu"


def install_hint(architecture: str) -> str:
    """What to do where there is none."""
    return f"pip install 'edgekit[native]', or apt install {package(architecture)}"


def _of_machine(architecture: str) -> Compiler | None:
    names = [f"{ARCHITECTURES[architecture]}-g++"] if architecture in ARCHITECTURES else []
    if architecture == platform.machine():
        names = [*filter(None, [os.environ.get("CXX")]), "g++", "c++", *names]
    program = next((found for name in names if (found := children.which(name))), None)
    return None if program is None else Compiler((program,))


def _zig(architecture: str) -> Compiler | None:
    for folder in package_folders("ziglang") if architecture in ARCHITECTURES else ():
        program = folder / "zig"
        if program.is_file():
            target = ("-target", f"{ARCHITECTURES[architecture]}.{_GLIBC}")
            # Its libc++ stays out of the core, whose exceptions meet those of libstdc++: see core.cpp.
            layout, without = "-D_LIBCPP_ABI_VARIANT_INDEX_TYPE_OPTIMIZATION", "-nostdlib++"
            return Compiler((str(program), "c++", *target), (layout,), (without,), own_libraries=False)
    return None
