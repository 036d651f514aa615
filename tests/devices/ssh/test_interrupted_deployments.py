"""Whatever interrupts a deployment, and whenever: the device has one complete release that works."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support import deployer, kills
from support.ssh_server import SshServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ssh_config")]

#: A benchmark of its own runs 200 of them on an emulated board: tests/benchmarks.
ROUNDS = 15
SEED = 20_261_123


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "host"))


def current(server: SshServer, versions: dict[str, str]) -> str:
    """The version that is current on the device, after its script found every file of its part whole."""
    link = server.home / "edgekit/apps/small/current"
    assert link.is_dir(), "there is no current release"
    done = subprocess.run([link / "bin/edgekit-runner"], capture_output=True, text=True, check=False)
    assert done.stdout == "whole\n", done.stderr
    digest = (link / "parts").read_text().strip()
    assert (link / "small.edgekit/manifest.json").stat().st_size > 100
    return versions[digest]


def test_killed_at_random_moments(server: SshServer, small_bundle: Path, tmp_path: Path) -> None:
    versions = {deployer.content(name).digest: name for name in ("version-0", "version-1", "version-2")}
    log = tmp_path / "log"
    tally = kills.deploy_and_kill(
        ROUNDS,
        seed=SEED,
        start=lambda version: kills.start_deployer(server.url, small_bundle, version, log),
        interruptions={
            "client killed": kills.kill,
            "client stopped": lambda process: process.send_signal(signal.SIGINT),
            "connection cut": lambda process: server.cut(),
        },
        current=lambda: current(server, versions),
    )
    print(f"seed {SEED}: {dict(tally.outcomes)}, {dict(tally.releases)}")
    assert not tally.broken, tally.broken
    assert not tally.outcomes["failed by itself"], log.read_text()[-500:]
    assert tally.outcomes["done before"] < ROUNDS, "nothing was interrupted"
    # The next one that nobody disturbs cleans up.
    for seed in ("version-1", "version-2"):
        done = kills.start_deployer(server.url, small_bundle, seed, log)
        assert done.wait(timeout=60) == 0, log.read_text()[-500:]
        assert current(server, versions) == seed
    edgekit = server.home / "edgekit"
    assert os.listdir(edgekit / "incoming") == []
    assert len(os.listdir(edgekit / "apps/small/releases")) == len(os.listdir(edgekit / "parts")) == 2


def test_what_was_sent_before_a_cut_is_not_sent_again(
    server: SshServer, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.replace_payload("version-cut", monkeypatch.setattr)
    real = deployer.deployment.Sender._send

    def cut(self: object, name: str, file: str, archive: bytes) -> None:
        if name.startswith("content"):
            real(self, name, file, archive[: 2 << 20])  # type: ignore[arg-type]
            server.cut()
        real(self, name, file, archive)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(deployer.deployment.Sender, "_send", cut)
        with pytest.raises(Exception, match="the connection to bench broke"):
            deployer.deploy(server.url, small_bundle)
    done = deployer.deploy(server.url, small_bundle)
    total = sum(part.size_bytes for part, _ in done.parts)
    assert done.changed and total - (2 << 20) <= done.sent_bytes < total
