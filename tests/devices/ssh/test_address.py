"""Addresses, and what is said when a connection fails: the system's ssh against a real server."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest
from support.ssh_server import SshServer

from edgekit.devices import open_device
from edgekit.devices.ssh.address import Address
from edgekit.devices.ssh.device import SshDevice
from edgekit.errors import DeviceError, UsageError


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ssh://pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("ssh://pi@192.168.1.20:2222/", Address("192.168.1.20", "pi", 2222)),
        ("ssh://MyBoard", Address("MyBoard")),
        ("ssh://pi@[fe80::1%eth0]:22", Address("fe80::1%eth0", "pi", 22)),
        ("ssh://board-7_b", Address("board-7_b")),
    ],
)
def test_addresses(name: str, address: Address) -> None:
    assert Address.parse(name) == address


@pytest.mark.parametrize(
    "name",
    [
        "ssh:pi@host",
        "ssh://",
        "ssh://pi@",
        "ssh://host:port",
        "ssh://host:99999",
        "ssh://host/home/pi",
        "ssh://-oProxyCommand=x",
        "ssh://-l@host",
        "ssh://host name",
        "ssh://pi@host;reboot",
        "ssh://$(reboot)",
        "ssh://[fe80::1",
    ],
)
def test_what_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_device(name)
    assert caught.value.code == "EK-ARGUMENT" and "ssh://USER@HOST" in (caught.value.hint or "")


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        open_device("ssh://pi:raspberry@host")
    assert "raspberry" not in f"{caught.value.message} {caught.value.hint}"


def test_nothing_weakens_ssh_or_asks_anybody() -> None:
    words = Address("host", "pi", 22).command()
    assert "BatchMode=yes" in words and words[-2:] == ["--", "host"]
    assert not any("StrictHostKeyChecking" in word or "KnownHosts" in word for word in words)


def connect(url: str) -> DeviceError:
    """The error that connecting ends with."""
    device = open_device(url)
    assert isinstance(device, SshDevice)
    with device, pytest.raises(DeviceError) as caught:
        device.facts()
    assert caught.value.code == "EK-CONNECT" and caught.value.exit_code == 4
    return caught.value


@pytest.mark.usefixtures("ssh_config")
class TestFailures:
    """Each is one line that says which, and one that says what to do."""

    def test_refused(self, server: SshServer) -> None:
        error = connect("ssh://pi@127.0.0.1:1")
        assert error.message == "127.0.0.1 refuses connections on port 1"
        assert error.hint == "on the device: sudo systemctl enable --now ssh"

    def test_unknown_host(self, server: SshServer) -> None:
        error = connect("ssh://pi@no-such-board.invalid")
        assert error.message == "there is no host no-such-board.invalid"

    def test_no_answer(self, server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edgekit.devices.ssh.address.CONNECT_S", 1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            assert connect(f"ssh://pi@127.0.0.1:{port}").message == f"127.0.0.1 does not answer on port {port}"

    def test_wrong_key(self, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = tmp_path / "config"
        config.write_text(server.config.read_text().replace(str(server.key), str(server.make_key("stranger"))))
        monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(config))
        error = connect(server.url)
        assert error.message == "bench accepts none of your keys"
        assert error.hint == "ssh-copy-id bench  once, with the device's password"

    def test_unknown_host_key(self, server: SshServer) -> None:
        known = server.known_hosts.read_text()
        server.known_hosts.write_text("")
        error = connect(server.url)
        server.known_hosts.write_text(known)
        assert error.message == "the host key of bench is not known"

    def test_changed_host_key(self, server: SshServer) -> None:
        known = server.known_hosts.read_text()
        name, kind, _ = known.split()
        other = server.make_key("other")
        server.known_hosts.write_text(f"{name} {kind} {other.with_suffix('.pub').read_text().split()[1]}\n")
        error = connect(server.url)
        server.known_hosts.write_text(known)
        assert error.message == "bench has another host key than the one that is known"
        assert f"ssh-keygen -R '{name}' -f {server.known_hosts}" in (error.hint or "")

    def test_cut(self, server: SshServer) -> None:
        device = open_device(server.url)
        assert isinstance(device, SshDevice)
        with device:
            device.facts()
            server.cut()
            with pytest.raises(DeviceError, match="the connection to bench broke") as caught:
                device.facts()
            assert caught.value.code == "EK-CONNECT"

    def test_no_ssh_on_this_machine(self, server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert connect(server.url).message.startswith("ssh is not installed")


def test_the_users_own_configuration_holds(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name for the host, and a jump over another one: both from the configuration file."""
    config = tmp_path / "config"
    jump = f"Host Attic\n  HostName 127.0.0.1\n  Port {server.port}\n  ProxyJump bench\n  User {getpass.getuser()}\n"
    files = f"  IdentityFile {server.key}\n  UserKnownHostsFile {server.known_hosts}\n"
    config.write_text(f"{server.config.read_text()}{jump}{files}")
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(config))
    device = open_device("ssh://Attic")
    assert isinstance(device, SshDevice)
    with device:
        assert device.facts().home == str(server.home)
