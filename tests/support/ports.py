"""Ports of this machine's loopback."""

from __future__ import annotations

import socket


def free_port() -> int:
    """One that nobody listens on now, for programs that cannot take one and tell it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
