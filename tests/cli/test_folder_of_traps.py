"""Nothing that lies in the current folder is run, whatever it is called, by any verb."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import profiles, projects, traps

from edgekit.cli.main import VERBS
from edgekit.errors import EdgekitError
from edgekit.pipeline.work.pool import Pool, Task
from edgekit.profiling.files import write_profile
from edgekit.runtime import children

#: Verb -> arguments with which it does something; NAMES are files that lie outside of the folder.
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "init": (("made",),),
    "build": (("PROJECT", "--target", "rpi4", "--recipe", "fp32", "--format", "pte", "--out", "OUT"),),
    "inspect": (("BUNDLE",), ("--diff", "BUNDLE", "BUNDLE")),
    "run": (
        ("BUNDLE", "--input", "SAMPLE", "--variant", "fp32.tflite"),
        ("BUNDLE", "--input", "SAMPLE", "--variant", "fp32.pte"),
        ("BUNDLE", "--input", "SAMPLE", "--on", "ssh://nobody@127.0.0.1:1"),
        ("BUNDLE", "--input", "SAMPLE", "--on", "adb:no-such-phone"),
    ),
    "verify": (("BUNDLE",),),
    "profile": (("BUNDLE", "--quick", "--variant", "fp32.tflite", "--per-op", "-o", "OUT.html"),),
    "phone": (("BUNDLE", "--once"),),
    "report": (("PROFILE", "-o", "OUT.html", "-o", "OUT.csv"),),
    "compare": (("PROFILE", "PROFILE"),),
    "integrate": (("BUNDLE", "--for", "web", "-o", "STARTER"),),
    "deploy": (("BUNDLE", "--on", "ssh://nobody@127.0.0.1:1"),),
    "rollback": (("--on", "ssh://nobody@127.0.0.1:1"),),
    "targets": ((), ("rpi4",)),
    "doctor": ((), ("rpi4",), ("BUNDLE",), ("emulator:rpi4",), ("ssh://nobody@127.0.0.1:1",), ("adb:no-such-phone",)),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty at first, so that the compiler is called, too."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is also on ``PATH`` in each way that it can be."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    traps.lay(folder, tmp_path / "marks")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", str(folder), f"{folder}/../downloads", os.environ["PATH"]]))
    monkeypatch.setenv("EDGEKIT_HOME", str(home))
    return folder


@pytest.fixture
def named(tmp_path: Path, small_bundle: Path) -> dict[str, str]:
    np.save(tmp_path / "sample.npy", np.zeros((12, 12), np.uint8))
    profile = profiles.profile()
    write_profile(replace(profile, cells=profile.cells[:2]), tmp_path / "profile.json")
    projects.write_project(tmp_path / "project")
    return {
        "BUNDLE": str(small_bundle),
        "PROJECT": str(tmp_path / "project"),
        "SAMPLE": str(tmp_path / "sample.npy"),
        "PROFILE": str(tmp_path / "profile.json"),
        "STARTER": str(tmp_path / "starter"),
        "OUT": str(tmp_path / "out"),
        "OUT.html": str(tmp_path / "out.html"),
        "OUT.csv": str(tmp_path / "out.csv"),
    }


def test_the_table_has_every_verb() -> None:
    assert list(COMMANDS) == list(VERBS)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        pytest.param(verb, each, marks=[pytest.mark.slow] if verb == "build" else [])
        for verb, all_of_it in COMMANDS.items()
        for each in all_of_it
    ],
)
def test_nothing_in_the_current_folder_is_run(
    folder: Path, named: dict[str, str], tmp_path: Path, verb: str, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-P", "-m", "edgekit.cli.main", verb, *(named.get(word, word) for word in arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, errors = process.communicate(timeout=8 if verb == "phone" else 200)
    except subprocess.TimeoutExpired:  # it serves a page until it is stopped
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == []
    assert "EK-UNEXPECTED" not in errors and "Traceback" not in errors
    on_device = any(word.startswith(("ssh:", "adb:")) for word in arguments)
    assert process.returncode == (4 if on_device else process.returncode if verb == "phone" else 0), errors


def test_a_worker_of_a_build_takes_nothing_from_it(folder: Path, tmp_path: Path) -> None:
    with Pool(1) as pool:
        task = Task("edgekit.pipeline.variants.examination:no_such_function", {}, "torch", tmp_path / "log")
        with pytest.raises(EdgekitError, match="no_such_function"):
            pool.run(task, lambda event: None)
    assert not list((tmp_path / "marks").iterdir())


def test_the_traps_work(folder: Path, tmp_path: Path) -> None:
    """With a bare `-c`, and by the shell's own search, they are run."""
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    subprocess.run("adb; g++", shell=True, check=False)
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == ["adb", "g++", "numpy.py"]


def test_programs_are_found_where_they_are_installed(folder: Path) -> None:
    real = Path(sys.executable).parent
    assert children.which("adb") != str(folder / "adb")
    assert children.which(Path(sys.executable).name) == sys.executable or str(real) not in os.environ["PATH"]
    assert children.which("./adb") == str(folder / "adb"), "a program that is named by its path is that one"
    assert children.which("no-such-program") is None


def test_the_systems_own_folders_count_even_when_one_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    (system, *_) = (os.confstr("CS_PATH") or "").split(os.pathsep)
    monkeypatch.chdir(system)
    assert children.which("sh") == shutil.which("sh")


def test_a_relative_module_path_is_not_handed_on(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "lib", str(tmp_path)]))
    assert children.environment()["PYTHONPATH"] == str(tmp_path)
    done = children.run(children.module("edgekit.runtime.remote_child"), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "marks").iterdir())
