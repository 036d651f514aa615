"""The system's ``ssh`` as a way to a device: the user's configuration, agent, jump hosts and known_hosts hold.

``$EDGEKIT_SSH_CONFIG`` names a configuration file to use instead of ``~/.ssh/config`` (``ssh -F``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgekit.errors import DeviceError, UsageError

CONNECT_S = 10

#: What ssh says in each case, and what is told. The first that matches counts: ssh says more after it.
_REASONS = (
    (r"Could not resolve hostname", "there is no host {host}", "is the name right, and the device on this network?"),
    (r"Connection refused", "{host} refuses connections{port}", "on the device: sudo systemctl enable --now ssh"),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        "{host} does not answer{port}",
        "is it switched on, and on this network?",
    ),
    (
        r"host key is known for .* strict checking|Host key verification failed",
        "the host key of {host} is not known",
        "{ssh}  once by hand, and compare the fingerprint it shows",
    ),
    (r"Permission denied", "{host} accepts none of your keys", "{copy_id}  once, with the device's password"),
)


@dataclass(frozen=True)
class Address:
    """Where to connect: user and port as the user gave them, or None for what ssh's configuration says."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, name: str) -> Address:
        """The address in ``ssh://[USER@]HOST[:PORT]``; HOST may be a name from ssh's configuration.

        Raises:
            UsageError: ``EK-ARGUMENT``: it is something else.
        """
        hint = "devices behind SSH are written ssh://USER@HOST or ssh://USER@HOST:PORT"
        try:
            parts = urlsplit(name)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError("EK-ARGUMENT", f"{name!r} is not an address: {error}", hint) from error
        if parts.password is not None:
            raise UsageError("EK-ARGUMENT", f"the address of {host} has a password in it", "edgekit uses keys: " + hint)
        rest = parts.path.strip("/") or parts.query or parts.fragment
        words = [word for word in (host, parts.username) if word is not None]
        if parts.scheme != "ssh" or not host or rest or any(not re.fullmatch(r"[\w.:%][\w.:%-]*", w) for w in words):
            raise UsageError("EK-ARGUMENT", f"{name!r} is not the address of a device", hint)
        # urlsplit makes hosts lower case, but names in ssh's configuration are not.
        start = name.lower().index(host, name.index("@") + 1 if parts.username is not None else len("ssh://"))
        return cls(name[start : start + len(host)], parts.username, port)

    def command(self) -> list[str]:
        """The command line that runs its last argument, which is to be appended, on the device."""
        config = os.environ.get("EDGEKIT_SSH_CONFIG")
        options = {
            "BatchMode": "yes",  # nobody is there to be asked
            "ConnectTimeout": str(CONNECT_S),
            "ServerAliveInterval": "15",  # a connection that is cut without a word ends after 45 s
            "ServerAliveCountMax": "3",
            "ControlMaster": "no",  # a shared connection is used where there is one, but none is left behind
            "ClearAllForwardings": "yes",
            "RemoteCommand": "none",
            "LogLevel": "ERROR",  # reasons are read from what it says
        }
        return [
            *("ssh", "-T", *(("-F", config) if config else ())),
            *(word for option in options.items() for word in ("-o", "=".join(option))),
            *(("-l", self.user) if self.user else ()),
            *(("-p", str(self.port)) if self.port else ()),
            *("--", self.host),
        ]

    def failure(self, exit_code: int, errors: Sequence[str]) -> DeviceError:
        """The error for a connection that ended with *exit_code* after ssh said *errors*."""
        said = "\n".join(errors)
        user = f"{self.user}@" if self.user else ""
        port = f" -p {self.port}" if self.port else ""
        facts = {
            "host": self.host,
            "port": f" on port {self.port}" if self.port else "",
            "ssh": f"ssh{port} {user}{self.host}",
            "copy_id": f"ssh-copy-id{port} {user}{self.host}",
        }
        if "IDENTIFICATION HAS CHANGED" in said:
            return self._changed_key(said)
        for pattern, message, hint in _REASONS:
            if re.search(pattern, said):
                return DeviceError("EK-CONNECT", message.format(**facts), hint.format(**facts))
        last = next((line for line in reversed(errors) if line.strip()), f"ssh ended with exit code {exit_code}")
        return DeviceError("EK-CONNECT", f"the connection to {self.host} broke: {last}", f"does  {facts['ssh']}  work?")

    def _changed_key(self, said: str) -> DeviceError:
        offending = re.search(r"^Offending .*key in (.*):\d+", said, re.MULTILINE)
        file = f" -f {offending[1]}" if offending else ""
        asked = re.search(r"Host key for (\S+) has changed", said)
        host = asked[1] if asked else f"[{self.host}]:{self.port}" if self.port else self.host
        hint = (
            f"if it was set up anew: ssh-keygen -R '{host}'{file}  Otherwise do not connect: it may be another machine"
        )
        return DeviceError("EK-CONNECT", f"{self.host} has another host key than the one that is known", hint)
