"""Which phones ``adb`` knows, and whether one of them can be used."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.devices.adb import client
from edgekit.errors import DeviceError, did_you_mean

#: What the first call starts the server in, and the most that any other takes.
_LIST_S = 20.0
#: adb takes up a broken connection again by itself, in less than this; and finds phones anew when its server starts.
_PATIENCE_S = 3.0

#: States that pass by themselves, or may.
_PASSING = ("offline", "connecting", "authorizing", "unauthorized")
_LASTING = ("device", "recovery", "rescue", "sideload", "bootloader", "host", "detached", "no permissions", "unknown")
_STATE = re.compile(rf"\s({'|'.join((*_LASTING, *_PASSING))})\b")
#: Nobody has more phones on one machine, and none has so long a line.
_MOST_PHONES, _MOST_CHARACTERS = 200, 500

_CONNECT_HINT = "switch on USB debugging on it (Settings, Developer options), plug it in, and see:  adb devices"


@dataclass(frozen=True)
class Listed:
    """A phone that adb knows.

    Attributes:
        state: ``device`` when it can be used; else as adb has it: ``unauthorized``, ``offline``, ``recovery``, ...
        model: As in ``Pixel_8``; empty where adb does not say.
    """

    serial: str
    state: str
    model: str = ""


def read(text: str) -> tuple[Listed, ...]:
    """The phones that ``adb devices -l`` lists in *text*."""
    found = []
    for line in text.splitlines()[:_MOST_PHONES]:
        shown = line[:_MOST_CHARACTERS].strip()
        state = None if line.startswith(("*", "List of devices")) else _STATE.search(shown)
        serial = shown[: state.start()].rstrip() if state is not None else ""
        if state is not None and serial and serial.isprintable():
            model = re.search(r"\bmodel:(\S+)", shown[state.end() :])
            found.append(Listed(serial, state[1], model[1] if model else ""))
    return tuple(found)


def find(serial: str) -> str:
    """The serial number of the phone that *serial* means, which can be used.

    Args:
        serial: Empty for ``$ANDROID_SERIAL``, and without that for the only phone there is.

    Raises:
        DeviceError: ``EK-CONNECT``: there is no such phone, there are several, or it is not ready.
    """
    wanted = serial or os.environ.get("ANDROID_SERIAL", "")
    began = time.monotonic()
    while True:
        known, fresh = _ask()
        error = why_not(known, wanted)
        if error is None:
            return wanted or known[0].serial
        passing = fresh or any(phone.state in _PASSING for phone in known if wanted in ("", phone.serial))
        if not passing or time.monotonic() - began > _PATIENCE_S:
            raise error
        time.sleep(0.1)


def why_not(known: Sequence[Listed], serial: str) -> DeviceError | None:
    """What keeps the phone called *serial*, or the only one, from being used; None when nothing does."""
    if serial:
        chosen = [phone for phone in known if phone.serial == serial]
        if not chosen:
            return _absent(serial, [phone.serial for phone in known])
    else:
        chosen = list(known)
        if len(chosen) > 1:
            names = ", ".join(f"adb:{phone.serial}" for phone in chosen)
            return DeviceError("EK-CONNECT", f"{len(chosen)} phones are connected", f"name one of {names}")
        if not chosen:
            return DeviceError("EK-CONNECT", "no phone is connected", _CONNECT_HINT)
    return _unready(chosen[0])


def phones() -> tuple[Listed, ...]:
    """The phones that adb knows now. Raises `DeviceError` ``EK-CONNECT``: adb does not work."""
    return _ask()[0]


def _ask() -> tuple[tuple[Listed, ...], bool]:
    """The phones, and whether adb's server has only just been started and may not have found all of them."""
    try:
        answer = client.call(["devices", "-l"], timeout_s=_LIST_S)
    except client.Late:
        hint = "adb kill-server  ends it; another program may hold its port"
        raise DeviceError("EK-CONNECT", f"adb's server gave no answer for {_LIST_S:.0f} s", hint) from None
    if answer.exit_code != 0:
        last = answer.said[-1] if answer.said else f"exit code {answer.exit_code}"
        raise DeviceError("EK-CONNECT", f"adb does not work here: {last}", "does  adb devices  work?")
    fresh = any("daemon started" in line for line in answer.said)
    return read(answer.output.decode(errors="replace")), fresh


def _absent(serial: str, others: Sequence[str]) -> DeviceError:
    if re.fullmatch(r"[\w.-]+:\d+|\[[0-9a-fA-F:]+\]:\d+", serial):
        hint = f"adb connect {serial}"
    elif others:
        hint = did_you_mean(serial, others)
    else:
        hint = _CONNECT_HINT
    return DeviceError("EK-CONNECT", f"no phone {serial} is connected", hint)


def _unready(phone: Listed) -> DeviceError | None:
    serial, state = phone.serial, phone.state
    if state == "device":
        return None
    if state in ("unauthorized", "authorizing"):
        message = f"{serial} has not allowed this computer to use it"
        hint = "unlock the phone and tap Allow (USB debugging); asked no more? unplug it and plug it in again"
    elif state in ("offline", "connecting", "detached"):
        message, hint = f"{serial} is offline", "unplug it and plug it in again, or:  adb reconnect offline"
    elif state == "no permissions":
        message = f"this user may not reach {serial} over USB"
        hint = "Debian or Ubuntu: apt-get install android-sdk-platform-tools-common; then plug it in again"
    else:
        message, hint = f"{serial} is in the state {state!r}, where no program runs", "start Android on it:  adb reboot"
    return DeviceError("EK-CONNECT", message, hint)
