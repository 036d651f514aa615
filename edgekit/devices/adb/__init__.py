"""Android phones by the system's ``adb``: experimental until somebody has confirmed it on a phone."""

from __future__ import annotations

from edgekit.devices.adb.device import EXPERIMENTAL, AdbDevice, open

__all__ = ["EXPERIMENTAL", "AdbDevice", "open"]
