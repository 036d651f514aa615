"""A whole deployment over real SSH to this machine: the same parts that an x86_64 board gets."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import SmallModels
from support.commands import document
from support.reference import validator
from support.ssh_server import SshServer

from edgekit.bundle import Bundle, write_bundle
from edgekit.cli.main import run
from edgekit.devices.ssh import deployment, preflight
from edgekit.devices.ssh.preflight import Facts, Inventory
from edgekit.devices.ssh.shell import Shell

pytestmark = pytest.mark.usefixtures("ssh_config", "home")


@pytest.fixture
def home(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))


@pytest.fixture(scope="module")
def second_bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, with other labels: another release."""
    path = tmp_path_factory.mktemp("second") / "second.edgekit"
    with Bundle.open(small_bundle) as opened:
        manifest = replace(opened.manifest, labels=("N", "E", "S", "W"))
        write_bundle(manifest, {name: opened.read(name) for name in manifest.files}, path)
    return path


def on_device(server: SshServer, *command: str) -> str:
    """Run a command there as a user would, who has none of this environment's variables."""
    environment = {"HOME": str(server.home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=server.home, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_nothing_to_a_running_model_and_back(
    server: SshServer,
    small_bundle: Path,
    second_bundle: Path,
    small_models: SmallModels,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    validator("deploy").validate(first)
    assert first["changed"] and first["has_python"] and first["previous"] is None
    assert first["sent_bytes"] >= sum(part["size_bytes"] for part in first["parts"])
    current = server.home / "edgekit/apps/small/current"

    # The lines that deploy prints.
    told = on_device(
        server, f"{current}/bin/edgekit", "run", f"{current}/small.edgekit", "--input", f"{current}/sample.npz"
    )
    assert len(told.splitlines()) == 5
    program = (
        "import edgekit, json, numpy, sys\n"
        f"model = edgekit.load('{current}/small.edgekit')\n"
        f"scores = model(dict(numpy.load('{current}/sample.npz')))\n"
        "loaded = [name for name in ('torch', 'tensorflow', 'executorch') if name in sys.modules]\n"
        "print(json.dumps([scores.tolist(), loaded]))"
    )
    scores, loaded = json.loads(on_device(server, f"{current}/bin/python", "-c", program))
    np.testing.assert_allclose(scores, small_models.scores[:1], atol=1e-5)
    assert loaded == []

    again = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    assert (again["sent_bytes"], again["changed"], again["release"]) == (0, False, first["release"])

    second = document(capfd, "deploy", str(second_bundle), "--on", server.url)
    assert second["previous"] == first["release"] and second["release"] != first["release"]
    assert not any(part["sent"] for part in second["parts"])
    assert 0 < second["sent_bytes"] < 100_000

    back = document(capfd, "rollback", "--on", server.url)
    validator("rollback").validate(back)
    assert (back["release"], back["previous"]) == (first["release"], second["release"])
    assert current.resolve().name == first["release"]
    # What is there needs no sending, whichever was current.
    forth = document(capfd, "deploy", str(second_bundle), "--on", server.url)
    assert (forth["sent_bytes"], forth["changed"], forth["release"]) == (0, True, second["release"])


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_run_there_gives_what_the_model_gives(
    server: SshServer,
    small_bundle: Path,
    small_models: SmallModels,
    sample: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    format: str,
) -> None:
    name = f"fp32.{format}"
    output = tmp_path / "scores.npz"
    options = ("--variant", name, "--threads", "1", "--output", str(output))
    shown = document(capfd, "run", str(small_bundle), "--on", server.url, "--input", str(sample), *options)
    assert (shown["device"], shown["variant"], shown["threads"], shown["emulated"]) == (server.url, name, 1, False)
    with np.load(output) as stored:
        np.testing.assert_allclose(stored["output"], small_models.scores[3:4], atol=1e-5)


def test_verify_there(server: SshServer, small_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown = document(capfd, "verify", str(small_bundle), "--on", server.url)
    rows = {(row["variant"], row["engine"]): row for row in shown["rows"]}
    passed = [engine for (_, engine), row in rows.items() if row["status"] == "passed"]
    assert sorted(passed) == ["executorch", "litert", "litert"]
    assert all(row["device"] == server.url for row in rows.values())


def test_a_device_out_of_reach_does_not_hide_what_others_found(
    small_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    devices = ("--on", "ssh://pi@127.0.0.1:1", "--on", "local")
    shown = document(capfd, "verify", str(small_bundle), *devices, "--variant", "fp32.tflite", exit_code=4)
    assert ("local", "passed") in [(row["device"], row["status"]) for row in shown["rows"]]
    (lost,) = shown["devices_failed"]
    assert lost["device"] == "ssh://pi@127.0.0.1:1" and lost["error"]["code"] == "EK-CONNECT"


def test_doctor_says_what_is_there(
    server: SshServer, small_bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    found = document(capfd, "doctor", server.url)
    assert found["machine"]["architecture"] == "x86_64" and found["apps"]["small"]["current"] == deployed["release"]
    runs = {row["format"]: row["runs"] for row in found["formats"]}
    assert runs["tflite"] is runs["pte"] is True
    assert run(["doctor", server.url]) == 0
    assert f"small: {deployed['release']} is current" in capfd.readouterr().out
    monkeypatch.setattr(preflight, "PROGRAMS", ())
    assert run(["doctor", server.url]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert ".tflite   runs there" in lines and ".pte      runs there" in lines


def test_errors_there_are_errors_here(
    server: SshServer, small_bundle: Path, sample: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(small_bundle), "--on", server.url, "--input", str(sample)]
    assert run([*arguments, "--engine", "pytorch-mobile"]) != 0
    err = capfd.readouterr().err
    assert "[EK-NO-VARIANT]" in err and server.url in err and "Traceback" not in err


def test_a_death_on_the_device_is_not_a_lost_connection(
    server: SshServer, small_bundle: Path, sample: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The device's edgekit is made to die as by an instruction that its processor lacks."""
    shown = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    program = Path(str(shown["path"])) / "bin/edgekit"
    kept = program.read_text()
    program.write_text("#!/bin/sh\nkill -ILL $$\n")
    assert run(["run", str(small_bundle), "--on", server.url, "--input", str(sample)]) == 4
    err = capfd.readouterr().err
    assert "SIGILL" in err and "[EK-CRASHED]" in err
    program.write_text(kept)


def test_a_release_that_fails_there_never_becomes_current(
    server: SshServer,
    small_bundle: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    good = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    broken = tmp_path / "broken.edgekit"
    with Bundle.open(small_bundle) as opened:  # outputs that no variant gives
        manifest = opened.manifest
        files = {name: opened.read(name) for name in manifest.files}
        name = manifest.checks["outputs"]["output"]
    files[name] = _negated(files[name])
    write_bundle(manifest, files, broken)
    assert run(["deploy", str(broken), "--on", server.url]) == 4
    assert "wrong outputs" in capfd.readouterr().err
    app = server.home / "edgekit/apps/small"
    assert (app / "current").resolve().name == good["release"]
    assert good["release"] in os.listdir(app / "releases") and len(os.listdir(app / "releases")) <= 2
    on_device(server, f"{app}/current/bin/python", "-c", "import edgekit.runtime.model, numpy")


def test_a_damaged_part_is_not_taken_for_the_part(
    server: SshServer, small_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What an interrupted deployment left is continued; where it turns out to be damaged, it is sent anew."""
    shown = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    part = next(part for part in shown["parts"] if part["name"].startswith("click"))
    place = server.home / "edgekit/parts" / part["digest"]
    left = server.home / "edgekit/incoming" / f"{part['digest']}.tar.gz"
    for beginning, sent in ((bytes(1000), 2 * part["size_bytes"] - 1000), (None, part["size_bytes"] - 1000)):
        shutil.rmtree(place)
        left.write_bytes(beginning if beginning is not None else _archive(part["digest"])[:1000])
        again = document(capfd, "deploy", str(small_bundle), "--on", server.url)
        assert (again["sent_bytes"], again["changed"]) == (sent, False)
        assert place.is_dir() and not left.exists()


def test_several_bundles_side_by_side(
    server: SshServer, small_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.edgekit"
    with Bundle.open(small_bundle) as opened:
        manifest = replace(opened.manifest, name="../the other/one")  # a name that would lead elsewhere
        write_bundle(manifest, {name: opened.read(name) for name in manifest.files}, other)
    document(capfd, "deploy", str(small_bundle), "--on", server.url)
    shown = document(capfd, "deploy", str(other), "--on", server.url)
    assert shown["app"] == "the-other-one"
    assert sorted(os.listdir(server.home / "edgekit/apps")) == ["small", "the-other-one"]
    assert run(["rollback", "--on", server.url]) == 2
    assert "small, the-other-one" in capfd.readouterr().err
    assert run(["rollback", "the-other-one", "--on", server.url]) == 4
    assert "no earlier release of the-other-one" in capfd.readouterr().err
    assert run(["rollback", "smal", "--on", server.url]) == 2
    assert "did you mean 'small'?" in capfd.readouterr().err


def test_a_device_without_python_gets_a_runner(
    server: SshServer,
    small_bundle: Path,
    small_models: SmallModels,
    sample: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This machine has Python; the deployment is told that it has not."""
    monkeypatch.setattr(preflight, "PROGRAMS", ())
    shown = document(capfd, "deploy", str(small_bundle), "--on", server.url)
    assert not shown["has_python"] and [part["name"].split("-")[1] for part in shown["parts"]] == ["runner"]
    output = tmp_path / "scores.npz"
    arguments = ("--on", server.url, "--input", str(sample), "--output", str(output))
    ran = document(capfd, "run", str(small_bundle), *arguments)
    assert ran["engine"] == "litert"
    with np.load(output) as stored:
        np.testing.assert_allclose(stored["output"], small_models.scores[3:4], atol=1e-5)
    assert document(capfd, "run", str(small_bundle), *arguments, "--engine", "executorch")["variant"] == "fp32.pte"
    rows = document(capfd, "verify", str(small_bundle), "--on", server.url)["rows"]
    assert [(row["variant"], row["engine"], row["status"]) for row in rows] == [
        ("fp32.tflite", "litert", "passed"),
        ("int8-dynamic.tflite", "litert", "passed"),
        ("fp32.pte", "executorch", "passed"),
    ]
    assert run(["run", str(small_bundle), *arguments, "--engine", "tensorflow"]) == 4
    assert "only litert and executorch run there" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"machine": {"glibc": "2.17"}}, "the device has 2.17"),
        ({"machine": {"architecture": "armv6l"}}, "armv6l"),
        ({"free_disk_bytes": 1_000_000}, "1 MB of disk free"),
        ({"machine": {"free_memory_bytes": 1_000_000}}, "MiB of memory free"),
    ],
)
def test_nothing_changes_on_a_device_that_is_refused(
    server: SshServer,
    second_bundle: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    words: str,
) -> None:
    """This machine is described as another one (simulated: its real facts would do)."""
    real = deployment.read_facts

    def described(shell: Shell) -> Facts:
        found = real(shell)
        machine = replace(found.machine, **changed.get("machine", {}))
        rest = {name: value for name, value in changed.items() if name != "machine"}
        inventory = Inventory(frozenset(), {})
        return replace(found, machine=machine, inventory=inventory, **rest)

    monkeypatch.setattr(deployment, "read_facts", described)
    monkeypatch.setattr(preflight, "read_inventory", lambda text: Inventory(frozenset(), {}))
    before = sorted(server.home.rglob("*"))
    assert run(["deploy", str(second_bundle), "--on", server.url]) == 4
    err = capfd.readouterr().err
    assert words in err and "[EK-DEVICE]" in err
    assert sorted(server.home.rglob("*")) == before


def test_bundles_are_deployed_to_devices_behind_ssh(small_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("local", "mars", "ssh://"):
        assert run(["deploy", str(small_bundle), "--on", name]) == 2
        assert "[EK-ARGUMENT]" in capfd.readouterr().err


def _negated(npy: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, -np.load(io.BytesIO(npy)))
    return buffer.getvalue()


def _archive(digest: str) -> bytes:
    archives = Path(os.environ["EDGEKIT_HOME"]).glob("parts/*.tar.gz")
    return next(data for data in (path.read_bytes() for path in archives) if sha256(data).hexdigest() == digest)
