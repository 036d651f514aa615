"""Kinds of devices, by what a device's name begins with: edgekit's own, then those that other packages register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, overload

from edgekit.errors import UsageError, did_you_mean
from edgekit.registry import Registry, import_name, registry

if TYPE_CHECKING:
    from edgekit.devices.base import Device

Able = TypeVar("Able", bound="Device")

#: The device that is this machine.
LOCAL = "local"

_SERVE_A_PAGE = "edgekit phone BUNDLE  serves a page to try, check and measure it there"
_MAKE_AN_APP = "phones run apps: edgekit integrate BUNDLE --for android  makes a starter for one"
#: Ability -> how it is said that a device lacks it.
_REFUSALS = {
    "Runs": "bundles are neither run nor verified on",
    "Measures": "bundles are not measured on",
    "Deploys": "bundles are not deployed to",
    "CountsInstructions": "instructions are counted on emulated boards, not on",
    "Examines": "there is nothing to examine of",
}


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device; nothing of it is imported before one is opened.

    Attributes:
        name: What its devices' names begin with, up to the colon.
        written: How users write such a name, with what they have to know of it.
        example: One such name.
        opener: ``MODULE:FUNCTION``, which takes the whole name and gives the `edgekit.devices.base.Device`.
        abilities: What its devices can do: names of protocols of `edgekit.devices.base`.
        instead: Ability that they lack -> what to do in place of it.
        here: Whether work there keeps this machine busy, which then is not measured at the same time.
        browser: Whether they have the engines that only browsers have, and somebody who stands by.
    """

    name: str
    written: str
    example: str
    opener: str
    abilities: tuple[str, ...]
    instead: Mapping[str, str] = field(default_factory=dict)
    here: bool = False
    browser: bool = False

    def open(self, name: str) -> Device:
        """The device called *name*; raises as `open_device`."""
        device: Device = import_name(self.opener)(name)
        return device


#: In the order in which they are named.
KINDS: Registry[DeviceKind] = registry(
    "device",
    DeviceKind(LOCAL, "local", "local", "edgekit.devices.local:open_local", ("Runs", "Measures"), here=True),
    DeviceKind(
        "ssh",
        "ssh://USER@HOST",
        "ssh://pi@host",
        "edgekit.devices.ssh.device:open_ssh",
        ("Runs", "Measures", "Deploys", "Examines"),
    ),
    DeviceKind(
        "adb",
        "adb:SERIAL (a phone; experimental)",
        "adb:SERIAL",
        "edgekit.devices.adb.device:open_phone",
        ("Runs", "Measures", "Examines"),
        {"Deploys": _MAKE_AN_APP},
    ),
    DeviceKind(
        "browser",
        "browser (on a phone: browser:lan or browser:https)",
        "browser",
        "edgekit.devices.browser.device:open_browser",
        ("Measures",),
        {"Runs": _SERVE_A_PAGE},
        here=True,
        browser=True,
    ),
    DeviceKind(
        "emulator",
        "emulator:BOARD",
        "emulator:rpi4",
        "edgekit.devices.emulator.device:open_board",
        ("Runs", "Measures", "CountsInstructions", "Examines"),
        here=True,
    ),
)


def find_kind(name: str) -> DeviceKind | None:
    """The kind of the device called *name*, or None."""
    return KINDS.get(name.partition(":")[0])


def kind_of(name: str) -> DeviceKind:
    """The same for a device that there is. Raises `UsageError` ``EK-ARGUMENT``: there is none."""
    kind = find_kind(name)
    if kind is None:
        prefix = did_you_mean(name.partition(":")[0], KINDS.names())
        hint = f"{prefix} (devices are written {', '.join(each.example for each in KINDS)})"
        raise UsageError("EK-ARGUMENT", f"there is no device {name!r}", hint)
    return kind


@overload
def open_device(name: str) -> Device: ...


@overload
def open_device(name: str, ability: type[Able]) -> Able: ...


def open_device(name: str, ability: type[Device] | None = None) -> Device:
    """The device called *name*; nothing is connected or started before it is used. Close it.

    Args:
        ability: What it has to be able to do: a protocol of `edgekit.devices.base`.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such device, its name is malformed, or it lacks the ability.
    """
    kind = kind_of(name)
    device = kind.open(name)  # says first what is wrong with the name
    if ability is not None and not isinstance(device, ability):
        device.close()
        hint = kind.instead.get(ability.__name__) or f"devices for that are written {written(ability.__name__)}"
        raise UsageError("EK-ARGUMENT", f"{_REFUSALS[ability.__name__]} {name}", hint)
    return device


def written(ability: str) -> str:
    """How the devices that have *ability* are written, as in ``local, ssh://USER@HOST or emulator:BOARD``."""
    *others, last = (kind.written for kind in KINDS if ability in kind.abilities)
    return f"{', '.join(others)} or {last}" if others else last
