"""Which phone is meant, and what is said of one that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgekit.devices import open_device
from edgekit.devices.adb import listing
from edgekit.devices.adb.device import AdbDevice
from edgekit.devices.adb.listing import Listed
from edgekit.errors import DeviceError, UsageError

#: As adb 29 and adb 36 print them: with the server's start, and phones in every state.
_LIST = """\
* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
28161FDH2000XY         device usb:1-1.2 product:shiba model:Pixel_8 device:shiba transport_id:1
R58M123ABCD            unauthorized usb:3-2 transport_id:2
192.168.1.20:5555      offline product:x model:SM_S921B device:e1s transport_id:4
emulator-5554          device product:sdk_gphone64_x86_64 model:sdk_gphone64 device:emu64xa transport_id:5
adb-R58M12 (2)._adb-tls-connect._tcp device product:a model:b device:c transport_id:6
0123456789ABCDEF       no permissions (user in plugdev group; are your udev rules wrong?); see [http://x.y] usb:1-3 transport_id:7
ZY22ABCDEF             recovery usb:1-4 product:x model:y device:z transport_id:8
[fe80::1%eth0]:5555    authorizing transport_id:9

"""  # noqa: E501

PIXEL, GALAXY = Listed("28161FDH2000XY", "device", "Pixel_8"), Listed("R58M123ABCD", "device", "SM_S921B")


def test_every_phone_and_its_state_is_read() -> None:
    assert listing.read(_LIST) == (
        PIXEL,
        Listed("R58M123ABCD", "unauthorized"),
        Listed("192.168.1.20:5555", "offline", "SM_S921B"),
        Listed("emulator-5554", "device", "sdk_gphone64"),
        Listed("adb-R58M12 (2)._adb-tls-connect._tcp", "device", "b"),
        Listed("0123456789ABCDEF", "no permissions"),
        Listed("ZY22ABCDEF", "recovery", "y"),
        Listed("[fe80::1%eth0]:5555", "authorizing"),
    )
    assert listing.read("List of devices attached\n\n") == ()


@pytest.mark.parametrize(
    ("known", "serial", "message", "hint"),
    [
        ([], "", "no phone is connected", "USB debugging"),
        ([PIXEL, GALAXY], "", "2 phones are connected", "adb:28161FDH2000XY, adb:R58M123ABCD"),
        ([PIXEL], "28161FDH2000YX", "no phone 28161FDH2000YX", "did you mean '28161FDH2000XY'?"),
        ([], "28161FDH2000XY", "no phone 28161FDH2000XY", "USB debugging"),
        ([PIXEL], "192.168.1.20:5555", "no phone 192.168.1.20:5555", "adb connect 192.168.1.20:5555"),
        ([Listed("A1", "unauthorized")], "", "A1 has not allowed this computer", "tap Allow"),
        ([Listed("A1", "offline")], "A1", "A1 is offline", "plug it in again"),
        ([Listed("A1", "no permissions")], "A1", "may not reach A1 over USB", "android-sdk-platform-tools-common"),
        ([Listed("A1", "recovery")], "A1", "A1 is in the state 'recovery'", "adb reboot"),
    ],
)
def test_what_cannot_be_used_is_said_with_a_way_out(
    known: Sequence[Listed], serial: str, message: str, hint: str
) -> None:
    error = listing.why_not(known, serial)
    assert isinstance(error, DeviceError) and error.code == "EK-CONNECT"
    assert message in error.message and hint in (error.hint or "")


@pytest.mark.parametrize("serial", ["", PIXEL.serial])
def test_the_only_phone_needs_no_name(serial: str) -> None:
    assert listing.why_not([PIXEL], serial) is None


def test_one_of_several_is_named() -> None:
    assert listing.why_not([PIXEL, GALAXY], GALAXY.serial) is None


@pytest.mark.parametrize("name", ["adb", "adb:", "adb:28161FDH2000XY", "adb:192.168.1.20:5555"])
def test_names_of_phones(name: str) -> None:
    with open_device(name) as device:
        assert isinstance(device, AdbDevice) and device.name == name.removesuffix(":")


@pytest.mark.parametrize("name", ["adb:-s", "adb: 1", "adb:a\nb", "adb:a "])
def test_what_is_no_serial_number_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_device(name)
    assert caught.value.code == "EK-ARGUMENT"


def test_without_adb_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with open_device("adb:") as device, pytest.raises(DeviceError) as caught:
        device.machine()
    assert caught.value.code == "EK-CONNECT" and "apt-get install adb" in (caught.value.hint or "")
    monkeypatch.setenv("EDGEKIT_ADB", "/nowhere/adb")
    with open_device("adb:") as device, pytest.raises(DeviceError, match="EDGEKIT_ADB names /nowhere/adb"):
        device.machine()
