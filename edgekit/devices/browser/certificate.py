"""A certificate made on the spot: what a browser asks for before it gives a page threads and WebGPU.

Nobody vouches for it, so the browser warns, and the person goes on after comparing its fingerprint. It is good for a
week, and its key is gone with the server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgekit.runtime.installed import required

#: A phone's clock may be behind.
_EARLIER, _LASTS = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key.

    Attributes:
        pem, key_pem: As OpenSSL reads them.
        fingerprint: SHA-256 of the certificate as browsers show it: pairs of digits with colons.
    """

    pem: bytes
    key_pem: bytes
    fingerprint: str

    def context(self) -> ssl.SSLContext:
        """What a server needs to speak TLS 1.2 and newer with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python's ssl takes keys from files only: one that nobody else may read, for a moment.
        handle, name = tempfile.mkstemp(prefix="edgekit-", suffix=".pem")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.key_pem + self.pem)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context


def make_certificate(addresses: Sequence[str]) -> Certificate:
    """A certificate for this machine, as ``localhost``, by its name and by its IP *addresses*.

    Raises:
        UsageError: ``EK-MISSING-PACKAGE``: cryptography is not installed.
    """
    required("cryptography", "--https needs cryptography", 'pip install "edgekit[phone]"')
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgekit on this network")])
    host = socket.gethostname().partition(".")[0]
    names = [x509.DNSName(each) for each in ("localhost", host, f"{host}.local") if each.isascii() and each]
    numbers = [x509.IPAddress(ipaddress.ip_address(each)) for each in dict.fromkeys(("127.0.0.1", *addresses))]
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName([*names, *numbers]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        # iOS refuses certificates without it (https://support.apple.com/en-us/103769).
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        pem=certificate.public_bytes(serialization.Encoding.PEM),
        key_pem=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    )
