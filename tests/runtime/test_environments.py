"""Engines in environments and processes of their own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, PAIR, SmallModels

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, UsageError
from edgekit.private import seal, tree_digest
from edgekit.runtime import engines, environments
from edgekit.runtime.machine import read_machine
from edgekit.runtime.remote import Server
from edgekit.runtime.trial import Job, run_trial
from edgekit.runtime.verification import verify


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the real tflite-runtime environment in it; needs a package index."""
    home = tmp_path_factory.mktemp("home")
    steps: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(home))
        environments.create("tflite-runtime", steps.append)
    assert [step.split()[0] for step in steps] == ["making", "installing"]
    return home


@pytest.fixture
def home(real_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_HOME", str(real_home))
    return real_home


@pytest.fixture
def server() -> Iterator[Server]:
    with Server.start("litert") as server:
        yield server


def test_tflite_runtime_runs_beside_numpy_2(home: Path, small_models: SmallModels) -> None:
    assert int(np.__version__.split(".")[0]) >= 2
    assert engines.available("tflite")["tflite-runtime"] == "2.14.0"
    session = engines.open_session("tflite-runtime", small_models.files["image.tflite"], "tflite", IMAGE, 2)
    outputs = [session.run([image[None]])[0] for image in small_models.images]
    np.testing.assert_allclose(np.concatenate(outputs), small_models.scores, atol=1e-5)
    assert session.threads == 2
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="closed"):
        session.run([small_models.images[:1]])
    with pytest.raises(EdgekitError) as caught:
        engines.open_session("tflite-runtime", b"rubbish", "tflite", IMAGE, 1)
    assert caught.value.code == "EK-BUNDLE"


def test_a_trial_runs_inside_the_environment(home: Path, small_models: SmallModels, tmp_path: Path) -> None:
    (tmp_path / "image.tflite").write_bytes(small_models.files["image.tflite"])
    np.savez(tmp_path / "inputs.npz", image=small_models.images)
    job = Job(
        file=str(tmp_path / "image.tflite"),
        format="tflite",
        engine="tflite-runtime",
        signature=IMAGE,
        inputs=str(tmp_path / "inputs.npz"),
        outputs=str(tmp_path / "outputs.npz"),
        threads=1,
        samples=64,
    )
    result = run_trial(job)
    assert result.engine_version == "2.14.0"
    assert result.peak_rss_bytes is not None and result.peak_rss_bytes < 150e6
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert outputs.files == ["output"]
        np.testing.assert_allclose(outputs["output"], small_models.scores, atol=1e-5)


def test_verify_includes_the_environment(home: Path, small_bundle: Path) -> None:
    with Bundle.open(small_bundle) as bundle:
        rows = verify(bundle, machine=read_machine(), threads=1, variant="fp32.tflite")
    assert {(row.engine, row.status) for row in rows} == {("litert", "passed"), ("tflite-runtime", "passed")}


def test_creating_it_again_does_nothing(home: Path) -> None:
    steps: list[str] = []
    assert environments.create("tflite-runtime", steps.append) == environments.python("tflite-runtime")
    assert steps == []


def test_a_half_made_environment_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    directory = tmp_path / "environments" / "tflite-runtime"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").touch()
    assert environments.python("tflite-runtime") is None
    seal(directory, {"older==1": ["0" * 64]})
    assert environments.python("tflite-runtime") is None


def test_an_environment_that_somebody_changed_is_not_started(
    home: Path, monkeypatch: pytest.MonkeyPatch, small_models: SmallModels, tmp_path: Path
) -> None:
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    (packages,) = (tmp_path / "home").glob("environments/tflite-runtime/lib/python*/site-packages")
    (packages / "evil.pth").write_text("import sys; sys.exit('evil')\n")
    with pytest.raises(EdgekitError, match="is not as edgekit left it") as caught:
        engines.open_session("tflite-runtime", small_models.files["image.tflite"], "tflite", IMAGE, 1)
    assert caught.value.code == "EK-FOREIGN" and "\n" not in caught.value.message
    with pytest.raises(EdgekitError, match="is not as edgekit left it"):
        environments.create("tflite-runtime")


def test_running_it_changes_nothing(home: Path, small_models: SmallModels) -> None:
    engines.open_session("tflite-runtime", small_models.files["image.tflite"], "tflite", IMAGE, 1).close()
    directory = home / "environments" / "tflite-runtime"
    assert json.loads(directory.with_name("tflite-runtime.seal").read_text())["sha256"] == tree_digest(directory)


def test_other_files_than_the_pinned_ones_are_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    right = environments.ENVIRONMENTS["tflite-runtime"]
    files = {**right.files, "numpy==1.26.4": ("0" * 64,)}
    monkeypatch.setitem(environments.ENVIRONMENTS, "tflite-runtime", replace(right, files=files))
    with pytest.raises(EdgekitError, match="is another file than the pinned one") as caught:
        environments.create("tflite-runtime")
    assert caught.value.code == "EK-ENGINE" and "\n" not in caught.value.message
    assert list((tmp_path / "environments").iterdir()) == []


def test_what_an_environment_installs_stands_there_by_its_hash() -> None:
    for environment in environments.ENVIRONMENTS.values():
        assert environment.version
        for requirement, hashes in environment.files.items():
            assert re.fullmatch(r"[\w-]+==[\d.]+", requirement)
            assert hashes and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)


def test_what_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EdgekitError, match="cannot install tflite-runtime") as caught:
        environments.create("tflite-runtime")
    assert caught.value.code == "EK-ENGINE" and "\n" not in caught.value.message
    assert list((tmp_path / "environments").iterdir()) == []


def test_no_suitable_python_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "_works", lambda candidate, version: False)
    with pytest.raises(UsageError, match=r"needs Python 3\.11 or 3\.10") as caught:
        environments.create("tflite-runtime")
    assert caught.value.code == "EK-MISSING-PACKAGE"
    with pytest.raises(UsageError):
        environments.create("tflite-runtim")


def test_one_process_opens_one_file_after_another(server: Server, small_models: SmallModels) -> None:
    first = server.open(small_models.files["image.tflite"], "tflite", IMAGE, 1)
    scores = first.run([small_models.images[:1]])[0]
    np.testing.assert_allclose(scores, small_models.scores[:1], atol=1e-5)
    scores[:] = 0  # it is ours
    second = server.open(small_models.files["pair.tflite"], "tflite", PAIR, 2)
    with pytest.raises(EdgekitError, match="closed"):
        first.run([small_models.images[:1]])
    for output, expected in zip(second.run(small_models.pair_inputs), small_models.pair_outputs, strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)
    with pytest.raises(EdgekitError) as caught:
        server.open(b"rubbish", "tflite", IMAGE, 1)
    assert caught.value.code == "EK-BUNDLE"
    assert server.alive


@pytest.mark.parametrize(("sent", "word"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")])
def test_a_death_by_signal_is_named(server: Server, small_models: SmallModels, sent: signal.Signals, word: str) -> None:
    session = server.open(small_models.files["image.tflite"], "tflite", IMAGE, 1)
    server._child.process.send_signal(sent)
    with pytest.raises(EdgekitError, match=word) as caught:
        for _ in range(1000):
            session.run([small_models.images[:1]])
    assert caught.value.code == "EK-CRASHED"
    Path(str(caught.value.log)).unlink()


def test_what_an_engine_prints_does_not_spoil_the_pipe() -> None:
    code = "from edgekit.runtime import remote_child\nremote_child.main()\nprint('noise', flush=True)"
    package = Path(environments.__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, cwd=package, check=True)
    assert (result.stdout, result.stderr.strip()) == (b"", b"noise")
