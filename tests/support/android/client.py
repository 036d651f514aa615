"""The adb programs that devices are reached with, each with a private server."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from support.ports import free_port

#: Name -> where it comes from: Debian 12's adb 29, and the adb 36 that the package adbutils brings.
CLIENTS = ("adb-29", "adb-36")

#: Runs a test on each client; without it, on the first.
both_clients = pytest.mark.parametrize("adb_program", CLIENTS, indirect=True)

_START_S = 60
_CONNECT_S = 60
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def program(name: str) -> Path:
    """The file of the client called *name*."""
    if name == "adb-29":
        found = shutil.which("adb")
        assert found, "tests with adb need more on this machine: apt-get install adb"
        return Path(found)
    import adbutils

    return Path(adbutils.__file__).parent / "binaries" / "adb"


class Adb:
    """An adb client with a server, keys and a port of its own. A context manager.

    Attributes:
        environment: What makes other programs use the same client and server.
        key: The public key that devices see.
        port: Of the server.
    """

    def __init__(self, program: Path, folder: Path):
        """*folder* is empty; keys and logs go there."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "bin").mkdir()
        (folder / "bin/adb").symlink_to(program)
        (folder / ".android").mkdir()
        self.port = free_port()
        self.environment = {
            "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            # Whatever is connected to this machine is not for tests.
            "ADB_USB": "0",
            "ADB_EMU": "0",
            "ADB_MDNS": "0",
        }
        self._run("keygen", str(folder / ".android/adbkey"))
        self.key = (folder / ".android/adbkey.pub").read_text()

    def __enter__(self) -> Adb:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server as a child: one that a client starts by itself would outlive the test."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._folder / "bin/adb", "-L", f"tcp:localhost:{self.port}", "nodaemon", "server"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"adb's server did not start: {(self._folder / 'server.log').read_text()[-500:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __call__(
        self, *arguments: str, serial: str | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``adb ARGUMENTS`` to its end."""
        return self._run(*(["-s", serial] if serial else []), *arguments, timeout_s=timeout_s)

    def popen(self, *arguments: str, serial: str | None = None) -> subprocess.Popen[bytes]:
        """Start ``adb ARGUMENTS``."""
        return subprocess.Popen(
            [self._folder / "bin/adb", *(["-s", serial] if serial else []), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def shell(self, serial: str, command: str) -> str:
        """What *command* prints on the device; it has to succeed."""
        result = self("shell", command, serial=serial)
        assert result.returncode == 0, result
        return result.stdout.decode()

    def states(self) -> dict[str, str]:
        """Serial -> what ``adb devices`` says of it."""
        lines = self("devices").stdout.decode().splitlines()[1:]
        return dict(line.split("\t") for line in lines if line)

    def connect(self, serial: str, state: str = "device") -> None:
        """Have the server reach for *serial*, and wait until it says *state* of it."""
        if serial in self.states():
            self("disconnect", serial)  # otherwise adb 29 takes 10 s to look for it again
        # adb 29 forgets a device now and then whose connection before has not ended yet: one asks again, as people do.
        deadline = time.monotonic() + _CONNECT_S
        while not self._reach(serial, state):
            assert time.monotonic() < deadline, f"adb says {self.states().get(serial)} of {serial}, not {state}"

    def _reach(self, serial: str, state: str) -> bool:
        """Whether ``adb connect`` brings *serial* to *state* within seconds."""
        # The client waits 10 s for a device that says nothing; its exit code and text mean nothing anyway.
        with self.popen("connect", serial) as client:
            try:
                return self._becomes(serial, state, 5)
            finally:
                client.kill()

    def wait(self, serial: str, state: str | None, timeout_s: float = 60) -> None:
        """Wait until adb says *state* of *serial*; None: until it does not list it."""
        reached = self._becomes(serial, state, timeout_s)
        assert reached, f"adb says {self.states().get(serial)} of {serial}, not {state}"

    def _becomes(self, serial: str, state: str | None, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.states().get(serial) != state:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._folder / "bin/adb", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
