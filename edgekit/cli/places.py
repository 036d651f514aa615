"""What the verbs share in naming devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.devices.ssh.device import SshDevice


def open_ssh(name: str) -> SshDevice:
    """The device called *name*, which has to be one that bundles are deployed to.

    Raises:
        UsageError: ``EK-ARGUMENT``: it is not.
    """
    from edgekit.devices import open_device
    from edgekit.devices.ssh.device import SshDevice

    device = open_device(name)
    if not isinstance(device, SshDevice):
        device.close()
        hint = "devices are written ssh://USER@HOST"
        if name.partition(":")[0] == "adb":
            hint = "phones run apps: edgekit integrate BUNDLE --for android  makes a starter for one"
        raise UsageError("EK-ARGUMENT", f"bundles are not deployed to {name!r}", hint)
    return device
