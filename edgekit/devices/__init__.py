"""Devices, by name: this machine, one behind SSH, a phone behind adb or in its browser, an emulated board."""

from edgekit.devices.kinds import open_device

__all__ = ["open_device"]
