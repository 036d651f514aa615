"""Separate environments for engines whose packages cannot live beside the others'.

An environment is a virtual environment under ``$EDGEKIT_HOME/environments/NAME`` (by default
``~/.local/share/edgekit``). A marker file, written last, says that it is complete.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import edgekit
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.runtime.engines.base import package_version

_MARKER = "edgekit-environment.json"

#: Loads exactly this edgekit in another Python, and nothing else from where it is installed.
_BOOT = """\
import importlib.util as util, runpy, sys
package = sys.argv[1]
spec = util.spec_from_file_location("edgekit", package + "/__init__.py", submodule_search_locations=[package])
module = util.module_from_spec(spec)
sys.modules["edgekit"] = module
spec.loader.exec_module(module)
name = sys.argv[2]
del sys.argv[:2]
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Environment:
    """What to install where.

    Attributes:
        name: The engine it is for.
        requirements: Arguments to ``pip install``; the first is the engine's own package, pinned with ``==``.
        pythons: Versions of Python that have wheels for it and run edgekit, best first.
        conflicts: Packages with the major version from which on the engine fails beside them.
    """

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    conflicts: Mapping[str, int]

    @property
    def version(self) -> str:
        return self.requirements[0].partition("==")[2]


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        # tflite-runtime 2.14.0 declares numpy>=1.23.2, but with numpy 2 it fails at the first model.
        Environment("tflite-runtime", ("tflite-runtime==2.14.0", "numpy<2"), ("3.11", "3.10"), {"numpy": 2}),
    )
}


def home() -> Path:
    """Where edgekit keeps what it was told to install: ``$EDGEKIT_HOME``, or ``~/.local/share/edgekit``."""
    return Path(os.environ.get("EDGEKIT_HOME") or Path.home() / ".local" / "share" / "edgekit")


def python(name: str) -> Path | None:
    """The Python of the environment called *name*, or None when it was not created, or not to the end."""
    directory = home() / "environments" / name
    return directory / "bin" / "python" if _is_complete(directory, _environment(name)) else None


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


def command(name: str, module: str, *arguments: str) -> list[str]:
    """The command line that runs one of edgekit's modules in the environment called *name*.

    edgekit is handed over as a single package: its folder on ``PYTHONPATH`` would, in an ordinary install,
    bring this Python's numpy with it.

    Raises:
        EdgekitError: ``EK-ENGINE``: the environment was not created.
    """
    interpreter = python(name)
    if interpreter is None:
        raise EdgekitError("EK-ENGINE", f"{name} is not installed", install_hint(name))
    return [str(interpreter), "-I", "-c", _BOOT, _package(), module, *arguments]


def command_here(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of edgekit's modules in this Python, in a process of its own."""
    return [sys.executable, "-c", _BOOT, _package(), module, *arguments]


def create(name: str, report: Callable[[str], None] | None = None) -> Path:
    """Make the environment called *name*, unless it is there, and return its Python.

    Needs the network, or a package index that pip is configured for. A half-made one is removed.

    Args:
        report: Called with one line for each step.

    Raises:
        UsageError: ``EK-MISSING-PACKAGE``: no suitable Python on this machine.
        EdgekitError: ``EK-ENGINE``: pip failed; the message has its last line.
    """
    environment = _environment(name)
    directory = home() / "environments" / name
    interpreter = directory / "bin" / "python"
    if _is_complete(directory, environment):
        return interpreter
    say = report or (lambda line: None)
    base = _find_python(environment)
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    done = False
    try:
        say(f"making {directory} with {base}")
        _call(name, [base, "-m", "venv", str(directory)])
        say(f"installing {' '.join(environment.requirements)}")
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        _call(name, [str(interpreter), "-m", "pip", "install", *quiet, *environment.requirements])
        (directory / _MARKER).write_text(json.dumps({"requirements": environment.requirements}), encoding="utf-8")
        done = True
    finally:
        if not done:
            shutil.rmtree(directory, ignore_errors=True)
    return interpreter


def _package() -> str:
    return str(Path(edgekit.__file__).parent)


def _environment(name: str) -> Environment:
    if name not in ENVIRONMENTS:
        raise UsageError("EK-ARGUMENT", f"there is no environment {name!r}", did_you_mean(name, ENVIRONMENTS))
    return ENVIRONMENTS[name]


def _is_complete(directory: Path, environment: Environment) -> bool:
    try:
        marker = json.loads((directory / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marker == {"requirements": list(environment.requirements)})


def _find_python(environment: Environment) -> str:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in environment.pythons:
        for candidate in (sys.executable if version == here else None, shutil.which(f"python{version}")):
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
        result = subprocess.run([candidate, "-I", "-c", probe], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.strip() == version


def _call(name: str, arguments: list[str]) -> None:
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        reason = lines[-1] if lines else f"exit code {result.returncode}"
        raise EdgekitError("EK-ENGINE", f"cannot install {name}: {reason[:300]}", "is the package index reachable?")
