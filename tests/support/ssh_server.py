"""A real SSH server on this machine's loopback, with keys and a home directory of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from support.ports import free_port

_HOST = "bench"


class SshServer:
    """A context manager. What connects to it runs on this machine as this user, with `home` as its home directory.

    Attributes:
        url: What ``--on`` takes.
        config: For ``$EDGEKIT_SSH_CONFIG``: the host's name, port and key.
        home: The home directory.
        known_hosts, key: Those files.
        port: Of the server.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.port = free_port()
        self.url = f"ssh://{_HOST}"
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        self.key = folder / "key"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("key", "host_key"):
            self.make_key(name)
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        public = " ".join((folder / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}\n")
        self.config.write_text(
            f"Host {_HOST}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nMaxStartups 100\nSetEnv HOME={self.home}\n"
        )

    def __enter__(self) -> SshServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def make_key(self, name: str) -> Path:
        """A new pair of keys, in place of those of that name."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.with_suffix(".pub").unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def start(self) -> None:
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "these tests need OpenSSH's server: apt-get install openssh-server"
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own start-up script makes it
        with (self.folder / "log").open("ab") as log:
            command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self._process = subprocess.Popen(command, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"sshd did not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Refuse connections; cut those that are."""
        if self._process is not None:
            self.cut()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def cut(self) -> None:
        """End every connection at once, as when a cable is pulled: sshd's processes that serve one are killed."""
        assert self._process is not None
        for child in _descendants(self._process.pid, "sshd"):
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _descendants(parent: int, name: str) -> list[int]:
    children: dict[int, list[int]] = {}
    names = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        pid = int(head.split()[0])
        names[pid] = head.partition("(")[2]
        children.setdefault(int(rest.split()[1]), []).append(pid)
    found, queue = [], [parent]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child)
            if names[child].startswith(name):
                found.append(child)
    return found
