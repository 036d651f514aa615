"""The server's port on a phone that is on a cable: there, ``localhost`` leads here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edgekit.devices.adb import client, listing
from edgekit.errors import DeviceError

_CALL_S = 20.0


@contextlib.contextmanager
def forwarded(port: int) -> Iterator[None]:
    """While it is entered, *port* of the only phone that adb knows (or of ``$ANDROID_SERIAL``) is that of this machine.

    Raises:
        DeviceError: ``EK-CONNECT``: there is no adb, no such phone, several, or it refuses.
    """
    serial, socket_spec = listing.find(""), f"tcp:{port}"
    _call(serial, socket_spec, socket_spec)
    try:
        yield
    finally:
        with contextlib.suppress(DeviceError):  # it was unplugged, which ends it too
            _call(serial, "--remove", socket_spec)


def _call(serial: str, *arguments: str) -> None:
    try:
        call = client.call(["-s", serial, "reverse", *arguments], timeout_s=_CALL_S)
    except client.Late:
        raise DeviceError("EK-CONNECT", f"{serial} does not answer adb reverse", "unplug it and plug it in") from None
    if call.exit_code != 0:
        reason = call.said[-1] if call.said else f"adb ended with exit code {call.exit_code}"
        raise DeviceError("EK-CONNECT", f"{serial} cannot be led here: {reason}", "--lan works without a cable")
