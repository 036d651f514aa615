"""Which tests run, and fixtures that several test files share.

A test that needs more than pip brings (a browser, an SSH server, an emulator, root, a compiler of the machine's,
Debian's packages) has the mark ``system``: by itself, or because it asks, directly or not, for a fixture that asks for
`system`.
Whether the machine has it plays no part: all other tests see no such program anywhere (`support.bare_machine`).
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_models import SmallModels, build_bundle, build_models
from support.bare_machine import BareMachine
from support.shared import Shared

_ROOT = Path(__file__).parent.parent
_BENCHMARKS = _ROOT / "tests" / "benchmarks"  # measure what this machine has
#: Fixtures that convert models first, whoever asks for them.
_BUILDING = {"digits_bundle", "small_models"}
_BARE = pytest.StashKey[BareMachine]()
_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="edgekit-programs-")
    config.add_cleanup(folder.cleanup)
    config.stash[_BARE] = BareMachine(Path(folder.name))
    config.stash[_LEFT_OUT] = Counter()


def pytest_itemcollected(item: pytest.Item) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    if "system" in fixtures:
        item.add_marker("system")
    if fixtures & _BUILDING:
        item.add_marker("builds")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is ``system``, unless ``-m`` speaks of it, and without ``-m`` what takes minutes."""
    asked = config.option.markexpr
    marks = [mark for mark, leave in (("system", "system" not in asked), ("slow", not asked)) if leave]
    found = {item: next((mark for mark in marks if item.get_closest_marker(mark)), None) for item in items}
    config.stash[_LEFT_OUT].update(filter(None, found.values()))
    config.hook.pytest_deselected(items=[item for item, mark in found.items() if mark])
    items[:] = [item for item, mark in found.items() if not mark]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("system") or _BENCHMARKS in item.path.parents:
        return (yield)
    with item.config.stash[_BARE].only():
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist; each has collected the same
        session.config.workeroutput["left_out"] = dict(session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    left_out = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash[_LEFT_OUT] |= Counter(left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash[_LEFT_OUT]
    kinds = {"system": "need more than pip brings (pytest -m system)", "slow": "take minutes (pytest -m slow)"}
    said = [f"{left_out[kind]} that {words}" for kind, words in kinds.items() if left_out[kind]]
    if said:
        terminalreporter.write_line(f"tests left out: {', '.join(said)}")


@pytest.fixture(scope="session")
def system() -> None:
    """Whatever asks for this needs programs or rights that pip does not bring: see above."""


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    Shared.place(tmp_path_factory, os.environ.get("PYTEST_XDIST_WORKER"))


@pytest.fixture(scope="session")
def small_models() -> SmallModels:
    """Small real model files and their float outputs; built once, in about ten seconds."""
    folder = Shared.once("small-models", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_models())))
    models: SmallModels = pickle.loads((folder / "models").read_bytes())
    return models


@pytest.fixture(scope="session")
def small_bundle(small_models: SmallModels) -> Path:
    """A real bundle (zip) with variants ``fp32.tflite``, ``int8-dynamic.tflite`` and ``fp32.pte``. Do not change it."""
    folder = Shared.once("small-bundle", lambda folder: build_bundle(small_models, folder / "small.edgekit"))
    return folder / "small.edgekit"


@pytest.fixture(scope="session")
def digits_bundle() -> Path:
    """The bundle that the README's first command makes, made by that command."""
    Shared.once("digits", _build_digits)
    return _ROOT / "examples" / "digits" / "build" / "digits-rpi4.edgekit"


def _build_digits(_: Path) -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"&& (edgekit build examples/digits .*)", readme)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    process = subprocess.run(
        command, shell=True, cwd=_ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
