"""Devices, by name: this machine, one behind SSH, a phone behind adb or in its browser, an emulated board."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from edgekit.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from edgekit.devices.base import Device

__all__ = ["EXAMPLES", "SCHEMES", "open_device"]

#: What a device's name begins with, up to the colon -> the module whose ``open`` takes the whole name.
SCHEMES = {
    "local": "edgekit.devices.local",
    "ssh": "edgekit.devices.ssh.device",
    "emulator": "edgekit.devices.emulator",
    "adb": "edgekit.devices.adb",
    "browser": "edgekit.devices.browser.device",
}

#: One name of each kind, as users write them.
EXAMPLES = ("local", "ssh://pi@host", "adb:SERIAL", "browser", "emulator:rpi4")


def open_device(name: str) -> Device:
    """The device called *name*; nothing is connected or started before it is used. Close it.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such device, or its name is malformed.
    """
    scheme = name.partition(":")[0]
    if scheme not in SCHEMES:
        hint = f"{did_you_mean(scheme, SCHEMES)} (devices are written {', '.join(EXAMPLES)})"
        raise UsageError("EK-ARGUMENT", f"there is no device {name!r}", hint)
    device: Device = import_module(SCHEMES[scheme]).open(name)
    return device
