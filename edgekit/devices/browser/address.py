"""Addresses that a phone can reach this machine by, and a picture of one that its camera reads."""

from __future__ import annotations

import io
import socket
import struct
import sys

from edgekit.runtime.installed import required

#: Of networks inside this machine: no phone is in them.
_INSIDE = ("lo", "docker", "br-", "veth", "virbr", "cni", "podman")
#: For documentation only (RFC 5737): nothing is ever sent to it.
_ELSEWHERE = ("192.0.2.1", 9)
_SIOCGIFADDR = 0x8915


def lan_addresses() -> tuple[str, ...]:
    """This machine's IPv4 addresses in networks, that of the way to everywhere else first."""
    found = [_outward(), *_of_interfaces()]
    return tuple(dict.fromkeys(address for address in found if address and not address.startswith("127.")))


def qr_code(text: str) -> str:
    """*text* as a QR code for a terminal, two rows in a line; black on white whatever the terminal's colours are.

    Raises:
        UsageError: ``EK-MISSING-PACKAGE``: segno is not installed.
    """
    segno = required("segno", "QR codes need segno", 'pip install "edgekit[phone]"')
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, compact=True, border=2)
    # What is drawn is the light: cameras do not all read a code whose colours are swapped.
    return "\n".join(f"\x1b[97;40m{line}\x1b[0m" for line in drawn.getvalue().splitlines())


def _outward() -> str | None:
    """The address that datagrams to the world would leave from; to choose one, none is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:  # there is no way out
            return None
        address: str = probe.getsockname()[0]
        return address


def _of_interfaces() -> list[str]:
    if sys.platform != "linux":
        try:
            return [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
        except OSError:
            return []
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            if name.startswith(_INSIDE):
                continue
            try:  # netdevice(7): struct ifreq, with a struct sockaddr_in behind the name
                answer = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has none
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return found
