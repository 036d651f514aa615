"""One phone through ``adb``: commands, files to it and from it. Every call has a time limit and an end that is seen.

adb 29 answers exit code 0 with cut-off output when the connection drops in the middle of a command, so every command
ends by printing a mark with its exit code, and what lacks the mark was cut off. What is sent is put under a temporary
name, hashed on the phone, and renamed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.devices.adb import client, listing
from edgekit.devices.shell import Answer, failure
from edgekit.errors import DeviceError

#: A short command on a phone that is awake takes some 50 ms.
ANSWER_S = 20.0
#: Sending: the least rate of a poor Wi-Fi connection, and what comes on top.
_BYTES_PER_S, _SEND_S = 500_000, 60.0

_FROZEN_HINT = "wake and unlock it, or unplug it and plug it in again"
_BROKEN_HINT = "check its cable or network, then do the same again: nothing has to be cleaned up"
#: Exit code of a check that finds another hash.
_DAMAGED = 65
_FULL = ("No space left on device", "Disk quota exceeded")
#: What the phone itself says against a file, rather than the connection to it.
_REFUSALS = ("Permission denied", "Read-only file system", "Operation not permitted", "Is a directory")


class Connection:
    """A phone that adb knows.

    Args:
        device: What messages call it.
        serial: Its serial number.
    """

    def __init__(self, device: str, serial: str):
        self.device = device
        self.serial = serial

    def ask(self, command: str, *, timeout_s: float = ANSWER_S, long: bool = False) -> Answer:
        """Run a command of the phone's shell to its end.

        Args:
            command: For ``sh``; words that come from elsewhere have to be quoted. It must not leave the shell.
            timeout_s: How long it may take.
            long: It may well take longer than a phone that works needs for an answer: the phone is asked meanwhile
                whether it is still there.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke, or the phone gave no answer; ``EK-DEVICE``: it is there
                and the command took longer than it may.
        """
        status, output, errors = self._shell(command, timeout_s, long)
        return Answer(status, output.decode(errors="replace"), errors)

    def do(self, command: str, *, timeout_s: float = ANSWER_S) -> str:
        """A command that has to succeed; its output.

        Raises:
            DeviceError: ``EK-DEVICE``: it did not, with its last words; ``EK-CONNECT`` as `ask`.
        """
        answer = self.ask(command, timeout_s=timeout_s)
        if answer.status != 0:
            raise failure(self.device, answer)
        return answer.output

    def run(self, arguments: Sequence[str], *, folder: str, timeout_s: float) -> Answer:
        """Run a program that may take long; it ends when the connection does.

        Nothing but the program runs on the phone meanwhile, so that nothing disturbs what it measures: a shell waits
        for it. When the connection is lost, adb's daemon sends that shell SIGHUP, and it takes the program with it.

        Args:
            folder: Its home and place for temporary files: phones have no ``/tmp``.

        Raises:
            DeviceError: As `ask`.
        """
        where = shlex.quote(folder)
        # What phones preload belongs to their own C library.
        start = f"unset LD_PRELOAD LD_LIBRARY_PATH; HOME={where} TMPDIR={where} {shlex.join(arguments)} &"
        command = f"{start} program=$!; trap 'kill -9 $program' HUP INT TERM; wait $program"
        return self.ask(command, timeout_s=timeout_s, long=True)

    def put(self, files: Mapping[str, bytes], folder: str) -> None:
        """Write *files* into *folder*, which is there, each in place of what has its name.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke; ``EK-DEVICE``: the disk is full, or refuses.
        """
        with tempfile.TemporaryDirectory(prefix="edgekit-adb-") as scratch:
            for name, data in files.items():
                Path(scratch, f".{name}.part").write_bytes(data)
            size_bytes = sum(map(len, files.values()))
            self._push([f"{scratch}/.{name}.part" for name in files], f"{folder}/", size_bytes)
        moves = " && ".join(_checked_move(f".{name}.part", name, data) for name, data in files.items())
        answer = self.ask(f"cd {shlex.quote(folder)} && {moves}", timeout_s=_limit_s(size_bytes))
        if answer.status == _DAMAGED:
            raise self._damaged(answer.output.strip())
        if answer.status != 0:
            raise failure(self.device, answer)

    def put_folder(self, source: Path, target: str) -> None:
        """Make *target* a copy of the folder *source*, with what is executable there; it is there whole or not at all.

        Raises:
            DeviceError: As `put`.
        """
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        size_bytes = sum(path.stat().st_size for path in files.values())
        part = f"{target}.{secrets.token_hex(4)}.part"
        self._push([str(source)], part, size_bytes)
        limit_s = _limit_s(size_bytes)
        hashes = self.do(f"cd {shlex.quote(part)} && find . -type f -exec sha256sum {{}} +", timeout_s=limit_s)
        there = {name.strip(): digest for digest, _, name in (line.partition(" ") for line in hashes.splitlines())}
        for name, path in files.items():
            if there.get(f"./{name}") != _sha256(path):
                raise self._damaged(name)
        # On disk before it gets its name: what bears it is not looked into again.
        self.do(
            f"sync; rm -rf {shlex.quote(target)} && mv {shlex.quote(part)} {shlex.quote(target)}", timeout_s=limit_s
        )

    def fetch(self, file: str) -> bytes:
        """The contents of *file*.

        Raises:
            DeviceError: ``EK-DEVICE``: it cannot be read; ``EK-CONNECT``: the connection broke.
        """
        status, output, errors = self._shell(f"cat {shlex.quote(file)}", 300, long=True)
        if status != 0:
            raise failure(self.device, Answer(status, "", errors))
        return output

    def _shell(self, command: str, timeout_s: float, long: bool) -> tuple[int, bytes, tuple[str, ...]]:
        """Exit code, output and lines on standard error; see `ask`."""
        token = secrets.token_hex(8)
        try:
            done = self._call(["shell", f'{{ {command}\n}}; echo "{token}:$?:"'], timeout_s, watched=long)
        except client.Late:
            if not long:
                raise self._frozen(timeout_s) from None
            raise DeviceError(
                "EK-DEVICE", f"{self.device}: no result after {timeout_s:.0f} s", "does it hang?"
            ) from None
        end = re.search(rf"{token}:(\d+):\s*\Z".encode(), done.output)
        if end is None:
            raise self._broken(done)
        return int(end[1]), done.output[: end.start()], tuple(done.errors.splitlines())

    def _push(self, sources: Sequence[str], target: str, size_bytes: int) -> None:
        limit_s = _limit_s(size_bytes)
        try:
            done = self._call(["push", *sources, target], limit_s, watched=True)
        except client.Late:
            reason = f"{self.device} did not take {size_bytes / 1e6:.0f} MB in {limit_s:.0f} s"
            raise DeviceError("EK-CONNECT", reason, _BROKEN_HINT) from None
        if done.exit_code == 0:
            return
        for line in done.said:
            if any(words in line for words in _FULL):
                self._remove_parts(target)
                raise DeviceError("EK-DEVICE", f"{self.device}: the disk is full", "free some space there")
            if any(words in line for words in _REFUSALS):
                raise DeviceError("EK-DEVICE", f"{self.device}: {line.rpartition('remote ')[2]}")
        raise self._broken(done)

    def _remove_parts(self, target: str) -> None:
        """Free what the part that was sent takes: the disk is full."""
        where = shlex.quote(target)
        self.ask(f"rm -rf {where}/.*.part; case {where} in *.part) rm -rf {where};; esac")

    def _damaged(self, name: str) -> DeviceError:
        reason = f"{self.device}: {name} arrived damaged"
        return DeviceError("EK-DEVICE", reason, "do it again; another cable or port may help")

    def _call(self, arguments: Sequence[str], timeout_s: float, *, watched: bool) -> client.Call:
        return client.call(["-s", self.serial, *arguments], timeout_s=timeout_s, watch=self._watch if watched else None)

    def _watch(self) -> None:
        """Raise unless the phone answers: adb itself waits for ever for one that is frozen."""
        try:
            self._call(["shell", ":"], ANSWER_S, watched=False)
        except client.Late:
            raise self._frozen(ANSWER_S) from None

    def _frozen(self, waited_s: float) -> DeviceError:
        return DeviceError("EK-CONNECT", f"{self.device} gave no answer for {waited_s:.0f} s", _FROZEN_HINT)

    def _broken(self, done: client.Call) -> DeviceError:
        """The connection ended in the middle of *done*: the error for it."""
        phone = next((phone for phone in listing.phones() if phone.serial == self.serial), None)
        if phone is not None and phone.state == "unauthorized":
            error = listing.why_not([phone], self.serial)
            assert error is not None
            return error
        adb_said = next(
            (line for line in reversed(done.errors.splitlines()) if line.startswith(("adb:", "error:"))), ""
        )
        detail = f" ({adb_said})" if adb_said else ""
        return DeviceError("EK-CONNECT", f"the connection to {self.device} broke{detail}", _BROKEN_HINT)


def _checked_move(part: str, name: str, data: bytes) -> str:
    """The shell's command that gives *part* its name, if its hash is that of *data*."""
    source, digest = shlex.quote(part), hashlib.sha256(data).hexdigest()
    return (
        f'hash=$(sha256sum {source}) && {{ [ "${{hash%% *}}" = {digest} ] || {{ echo {shlex.quote(name)}; '
        f"(exit {_DAMAGED}); }}; }} && mv -f {source} {shlex.quote(name)}"
    )


def _limit_s(size_bytes: int) -> float:
    return _SEND_S + size_bytes / _BYTES_PER_S


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
