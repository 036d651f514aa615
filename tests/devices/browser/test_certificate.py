"""The certificate made on the spot: what browsers ask of one, and that its key is nowhere to be found."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgekit.devices.browser.address import lan_addresses, qr_code
from edgekit.devices.browser.certificate import Certificate, make_certificate


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return make_certificate(["192.168.1.20", "10.0.0.7"])


def test_it_names_every_address_of_this_machine(certificate: Certificate) -> None:
    read = x509.load_pem_x509_certificate(certificate.pem)
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert {ipaddress.ip_address(each) for each in ("127.0.0.1", "192.168.1.20", "10.0.0.7")} == set(
        names.get_values_for_type(x509.IPAddress)
    )


def test_it_is_for_servers_for_a_week_and_signs_no_others(certificate: Certificate) -> None:
    read = x509.load_pem_x509_certificate(certificate.pem)
    usage = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    now = datetime.now(UTC)
    assert read.not_valid_before_utc < now < read.not_valid_after_utc < now + timedelta(days=8)
    assert make_certificate([]).pem != certificate.pem


def test_the_fingerprint_is_what_a_browser_shows(certificate: Certificate) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate.pem.decode())
    assert certificate.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def test_a_client_that_trusts_it_gets_through(certificate: Certificate) -> None:
    client = ssl.create_default_context(cadata=certificate.pem.decode())
    ours, theirs = socket.socketpair()
    served: list[bytes] = []

    def serve() -> None:
        with certificate.context().wrap_socket(theirs, server_side=True) as secured:
            served.append(secured.recv(10))

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname="192.168.1.20") as secured:
        secured.sendall(b"hello")
    thread.join(10)
    assert served == [b"hello"]


def test_the_key_is_left_in_no_file(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    certificate.context()
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_those_of_networks() -> None:
    addresses = lan_addresses()
    assert len(set(addresses)) == len(addresses)
    assert not any(ipaddress.ip_address(address).is_loopback for address in addresses)


def test_the_code_is_the_address_and_light_on_dark_whatever_the_terminal() -> None:
    import segno

    url = "http://192.168.1.20:40000/abcdefghijklmnopqrstuv/"
    lines = qr_code(url).splitlines()
    assert all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in lines)
    rows = [line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m") for line in lines]
    light = []
    for row in rows:
        light.append([each in "█▀" for each in row])
        light.append([each in "█▄" for each in row])
    code = segno.make(url, error="l", micro=False)
    matrix = [[not dark for dark in row] for row in code.matrix_iter(border=2)]
    assert light[: len(matrix)] == matrix
