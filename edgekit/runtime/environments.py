"""Separate environments for engines whose packages cannot live beside the others'.

An environment is a virtual environment under ``$EDGEKIT_HOME/environments/NAME`` (by default
``~/.local/share/edgekit``). It is sealed when it is complete, and used only as it was then.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.display import Log
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.private import has_seal, home, is_sealed, private_folder, seal, unseal
from edgekit.runtime import children
from edgekit.runtime.installed import package_version


@dataclass(frozen=True)
class Environment:
    """What to install where.

    Attributes:
        name: The engine it is for.
        files: All that is installed there: a requirement (``NAME==VERSION``) -> the SHA-256 of the wheels that may
            come for it, one for each Python and processor. The first is the engine's own package.
        pythons: Versions of Python that have wheels for it and run edgekit, best first.
        conflicts: Packages with the major version from which on the engine fails beside them.
    """

    name: str
    files: Mapping[str, tuple[str, ...]]
    pythons: tuple[str, ...]
    conflicts: Mapping[str, int]

    @property
    def version(self) -> str:
        return next(iter(self.files)).partition("==")[2]


# For Python 3.11 and 3.10, on x86_64 and on aarch64.
_TFLITE_RUNTIME = {
    "tflite-runtime==2.14.0": (
        "195ab752e7e57329a68e54dd3dd5439fad888b9bff1be0f0dc042a3237a90e4d",
        "ce9fa5d770a9725c746dcbf6f59f3178233b3759f09982e8b2db8d2234c333b0",
        "bb11df4283e281cd609c621ac9470ad0cb5674408593272d7593a2c6bde8a808",
        "d38c6885f5e9673c11a61ccec5cad7c032ab97340718d26b17794137f398b780",
    ),
    "numpy==1.26.4": (
        "666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5",
        "7ab55401287bfec946ced39700c053796e7cc0e3acbef09993a9ad2adba6ca6e",
        "ffa75af20b44f8dba823498024771d5ac50620e6915abac414251bd971b4529f",
        "d209d8969599b27ad20994c8e41936ee0964e6da07478d6c35016bc386b66ad4",
    ),
}

ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        # tflite-runtime 2.14.0 declares numpy>=1.23.2, but with numpy 2 it fails at the first model.
        Environment("tflite-runtime", _TFLITE_RUNTIME, ("3.11", "3.10"), {"numpy": 2}),
    )
}


def python(name: str) -> Path | None:
    """The Python of the environment called *name*, or None when it was not created, or not to the end."""
    directory = home() / "environments" / name
    return directory / "bin" / "python" if has_seal(directory, _made_of(_environment(name))) else None


def version_here(name: str) -> str | None:
    """Version of the engine's package when it works in this process, or None."""
    for package, major in _environment(name).conflicts.items():
        if int((package_version(package) or "0").split(".")[0]) >= major:
            return None
    return package_version(name)


def installed_version(name: str) -> str | None:
    """Version of the engine in this process, or in its environment; None when it is in neither."""
    here = version_here(name)
    if here is None and python(name) is not None:
        return _environment(name).version
    return here


def is_needed(name: str) -> bool:
    """Whether the engine called *name* is installed, and runs in its environment rather than in this process."""
    return name in ENVIRONMENTS and version_here(name) is None and python(name) is not None


def install_hint(name: str) -> str:
    return f"edgekit doctor --setup {name}  makes the environment it needs"


def command(engine: str, module: str) -> list[str]:
    """The command line that runs one of edgekit's modules for *engine*: in its environment, where it needs one.

    Raises:
        EdgekitError: ``EK-ENGINE``: the environment is not whole; ``EK-FOREIGN``: it was changed since.
    """
    if not is_needed(engine):
        return children.module(module)
    interpreter = python(engine)
    if interpreter is None or not is_sealed(interpreter.parents[1], _made_of(_environment(engine))):
        raise EdgekitError("EK-ENGINE", f"{engine} is not installed", install_hint(engine))
    return children.module(module, interpreter)


def create(name: str, log: Log | None = None) -> Path:
    """Make the environment called *name*, unless it is there, and return its Python.

    Needs the network, or a package index that pip is configured for. A half-made one is removed.

    Raises:
        UsageError: ``EK-MISSING-PACKAGE``: no suitable Python on this machine.
        EdgekitError: ``EK-ENGINE``: pip failed, or got other files than the pinned ones; ``EK-FOREIGN``: what is there
            was changed.
    """
    import tempfile  # only those who make one need these

    from edgekit.runtime import pip

    environment = _environment(name)
    directory = home() / "environments" / name
    interpreter = directory / "bin" / "python"
    if is_sealed(directory, _made_of(environment)):
        return interpreter
    say = log or (lambda line: None)
    base = _find_python(environment)
    unseal(directory)
    shutil.rmtree(directory, ignore_errors=True)
    private_folder(directory.parent)
    done = False
    try:
        say(f"making {directory} with {base}")
        _call(name, [base, *children.ISOLATED, "-m", "venv", str(directory)])
        say(f"installing {' '.join(environment.files)}")
        with tempfile.TemporaryDirectory(prefix="edgekit-pip-") as scratch:
            python_there = (str(interpreter), *children.ISOLATED)
            problem = pip.fetch(python_there, "install", environment.files, Path(scratch))
        if problem is not None:
            hint = "is the package index reachable, and the usual one?"
            raise EdgekitError("EK-ENGINE", f"cannot install {name}: {problem}", hint)
        seal(directory, _made_of(environment))
        done = True
    finally:
        if not done:
            shutil.rmtree(directory, ignore_errors=True)
    return interpreter


def _environment(name: str) -> Environment:
    if name not in ENVIRONMENTS:
        raise UsageError("EK-ARGUMENT", f"there is no environment {name!r}", did_you_mean(name, ENVIRONMENTS))
    return ENVIRONMENTS[name]


def _made_of(environment: Environment) -> object:
    return {requirement: list(hashes) for requirement, hashes in environment.files.items()}


def _find_python(environment: Environment) -> str:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in environment.pythons:
        for candidate in (sys.executable if version == here else None, children.which(f"python{version}")):
            if candidate and _works(candidate, version):
                return candidate
    wanted = " or ".join(environment.pythons)
    raise UsageError(
        "EK-MISSING-PACKAGE", f"{environment.name} needs Python {wanted}", f"put python{environment.pythons[0]} on PATH"
    )


def _works(candidate: str, version: str) -> bool:
    """Whether *candidate* really is that Python and can make environments: a version manager's shim may be neither."""
    probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        result = children.run([candidate, *children.ISOLATED, "-c", probe], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.strip() == version


def _call(name: str, arguments: list[str]) -> None:
    result = children.run(arguments, capture_output=True)
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        reason = lines[-1] if lines else f"exit code {result.returncode}"
        raise EdgekitError("EK-ENGINE", f"cannot make an environment for {name}: {reason[:300]}")
