"""The README's commands for a device, run as they stand there, with this machine under the Pi's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundles import only
from support.readme import GIVEN, README, ROOT, call, commands, leave_files
from support.ssh_server import SshServer


@pytest.fixture(scope="module")
def environment(fetched: Path, server: SshServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    config = tmp_path_factory.mktemp("config") / "config"
    config.write_text(server.config.read_text().replace("Host bench\n", "Host raspberrypi.local\n"))
    return {"EDGEKIT_SSH_CONFIG": str(config), "EDGEKIT_HOME": str(fetched)}


@pytest.mark.slow
def test_commands_one_after_the_other(
    digits_bundle: Path, environment: dict[str, str], server: SshServer, tmp_path: Path
) -> None:
    earlier = only(digits_bundle, ("int8.pte",), tmp_path / "digits.edgekit")  # which rollback goes back to
    call(f"edgekit deploy {earlier} --on ssh://root@raspberrypi.local", environment=environment)
    leave_files(digits_bundle, tmp_path)
    outputs = {}
    for command in sorted(commands("ssh://"), key=lambda command: GIVEN in command):  # a board with one bundle first
        folder = tmp_path if GIVEN in command else ROOT
        outputs[command.split()[1]] = call(command.replace("pi@", "root@"), folder, environment)
    assert outputs["run"].splitlines()[1].split()[0] == "7"
    current = server.home / "edgekit/apps/digits/current"
    (lines,) = [block for block in README.split("```\n") if block.startswith("cd ~/edgekit/apps")]
    assert lines.splitlines()[0] == "cd ~/edgekit/apps/digits/current"
    (program,) = [block for block in README.split("```\n") if block.startswith("import edgekit, numpy")]
    there = {"HOME": str(server.home), "PATH": "/usr/bin:/bin", "PYTHONPATH": ""}
    call(lines.splitlines()[1], current, there)
    call(f"bin/python -c '{program}'", current, there)
