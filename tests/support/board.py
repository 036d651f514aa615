"""A real SSH server on an emulated arm64 board: what stands in for a Raspberry Pi on the desk.

The board's programs are those of Debian for arm64 and run under qemu with the board's own CPU model; its facts
(/proc/cpuinfo, /sys) are the board's. Its ``/home`` is a file system of its own, so that a power loss is a real one:
what was not synced is gone. Needs root, Linux 6.7 and what `board_root.missing` names.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from support import board_root
from support.board_root import Layer
from support.ports import free_port

from edgekit.devices.emulator import board as board_facts
from edgekit.target import load_target

_TESTS = Path(__file__).parents[1]
_USER, _HOST = "pi", "board"
_START_S = 60
_MEBI = 1 << 20


class Board:
    """One board. A context manager: starts on entry, is thrown away on exit.

    Attributes:
        url: What ``--on`` takes.
        ssh_config: File for ``ssh -F``: the key, the port and the board's own known_hosts.
        environment: What makes edgekit use it.
        known_hosts, key: Those files.
        disk: The disk's image, to be looked at or replaced while the board is off.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        *,
        target: str | None = "rpi4",
        core: str | None = None,
        layers: tuple[Layer, ...] = board_root.BOOKWORM,
        disk_mib: int = 1024,
        memory_mib: int | None = None,
    ):
        """Prepare a board; nothing runs yet.

        Args:
            folder: An empty directory for its disk and files.
            cache: Where unpacked packages are kept between boards.
            target: Whose board facts it has; None for this machine's own, without emulation.
            core: CPU that qemu gives it, where that shall differ from the target's.
            layers: What is installed; the last lies on top.
            disk_mib: Size of the disk that holds the user's home.
            memory_mib: Limit for all programs together, as real memory has.
        """
        lack = board_root.missing()
        if lack is not None:
            raise AssertionError(f"an emulated board needs more on this machine: {lack}")
        if os.geteuid() != 0:
            raise AssertionError("an emulated board is started by root: run the tests as root")
        self._folder = folder
        self._facts: Path | None = None
        if target is not None:
            self._facts, facts = folder / "facts", load_target(target)
            core = core or board_facts.core_of(facts).name
            board_facts.write(facts, self._facts)
        self._core = core or ""
        self._memory_mib = memory_mib
        self._power: subprocess.Popen[str] | None = None
        self._port = free_port()
        self._lower = [board_root.directory(layer, cache) for layer in layers]
        self.url = f"ssh://{_USER}@{_HOST}"
        self.ssh_config = folder / "ssh_config"
        self.environment = {"EDGEKIT_SSH_CONFIG": str(self.ssh_config)}
        self.known_hosts = folder / "known_hosts"
        self.key = folder / "key"
        self.disk = folder / "disk"
        for name in ("root", "upper", "overlay"):
            (folder / name).mkdir()
        self._make_keys()
        self._make_system()
        self._make_disk(disk_mib)

    def __enter__(self) -> Board:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def root(self) -> Path:
        """The board's files as it sees them now, for looking and changing from outside. The board must be on."""
        assert self._power is not None
        return Path(f"/proc/{self._power.pid}/root{self._folder}/root")

    @property
    def home(self) -> Path:
        """The user's home directory, in the same way."""
        return self.root / "home" / _USER

    def start(self) -> None:
        """Switch it on and wait until its SSH server answers."""
        while subprocess.run(["losetup", "-j", self.disk], capture_output=True, check=True).stdout:
            time.sleep(0.02)  # the kernel lets go of the disk a moment after the board is off
        plan = self._folder / "plan.json"
        plan.write_text(json.dumps(self._plan()))
        with (self._folder / "log").open("a") as log:
            self._power = subprocess.Popen(
                [sys.executable, "-m", "support.board_power", plan],
                env={**os.environ, "PYTHONPATH": str(_TESTS)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._power.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the board did not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Switch it off in good order: everything is written to its disk."""
        self._off("")

    def kill(self) -> None:
        """Cut its power: what was not yet on its disk is lost. `start` switches it on again."""
        self._off("cut\n")

    def exec(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the board, as its user."""
        return subprocess.run(
            ["ssh", "-F", self.ssh_config, _HOST, command], capture_output=True, text=True, check=False, timeout=120
        )

    def _off(self, command: str) -> None:
        if self._power is not None:
            self._power.communicate(command)
            self._power = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _make_keys(self) -> None:
        for name in ("key", "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self._folder / name]
            subprocess.run(command, check=True)
        public = (self._folder / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self._port} {public}")
        self.ssh_config.write_text(
            f"Host {_HOST}\n  HostName 127.0.0.1\n  Port {self._port}\n  User {_USER}\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )

    def _make_system(self) -> None:
        """What maintainer scripts and an administrator would have made."""
        users = (
            "root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"
            f"{_USER}:x:1000:1000::/home/{_USER}:/bin/bash\n"
        )
        config = (
            f"ListenAddress 127.0.0.1\nPort {self._port}\nHostKey /etc/ssh/host_key\nAllowUsers {_USER}\n"
            "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
            "AuthorizedKeysFile /etc/ssh/authorized_keys\nMaxStartups 100\nMaxSessions 100\n"
            "Subsystem sftp /usr/lib/openssh/sftp-server\n"
            # qemu-user takes the CPU model from here when the kernel starts it by itself.
            f"SetEnv QEMU_CPU={self._core}\n"
        )
        files = {
            "etc/passwd": users,
            "etc/group": f"root:x:0:\nnogroup:x:65534:\n{_USER}:x:1000:\n",
            "etc/ssh/sshd_config": config,
            "etc/ssh/host_key": (self._folder / "host_key").read_text(),
            "etc/ssh/authorized_keys": (self._folder / "key.pub").read_text(),
        }
        upper = self._folder / "upper"
        for name in ("etc/ssh", "run/sshd", "home"):
            (upper / name).mkdir(parents=True)
        for name, text in files.items():
            (upper / name).write_text(text)
        (upper / "etc/ssh/host_key").chmod(0o600)

    def _make_disk(self, mib: int) -> None:
        home = self._folder / "home"
        (home / _USER).mkdir(parents=True)
        os.chown(home / _USER, 1000, 1000)
        with self.disk.open("wb") as file:
            file.truncate(mib * _MEBI)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-d", home, self.disk], check=True)

    def _plan(self) -> dict[str, object]:
        lower = ":".join(str(path) for path in reversed(self._lower))
        return {
            "root": str(self._folder / "root"),
            "overlay": f"lowerdir={lower},upperdir={self._folder}/upper,workdir={self._folder}/overlay",
            "disk": str(self.disk),
            "sys": self._facts and str(self._facts / "sys"),
            "proc": {name: str(self._facts / "proc" / name) for name in ("cpuinfo", "meminfo")} if self._facts else {},
            "memory_mib": self._memory_mib,
            "command": ["/usr/sbin/sshd", "-D", "-e"],
            "environment": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "QEMU_CPU": self._core},
        }
