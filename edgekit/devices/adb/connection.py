"""One phone through ``adb``: commands, files to it and from it. Every call has a time limit and an end that is seen.

adb 29 answers exit code 0 with cut-off output when the connection drops in the middle of a command, so every command
ends by printing a mark with its exit code, and what lacks the mark was cut off. What may take long runs apart from the
connection (`edgekit.devices.adb.job`). What is sent is put under a temporary name, hashed on the phone, and renamed.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.devices.adb import client, job, listing
from edgekit.devices.transport.completed import Answer, failure
from edgekit.digests import file_sha256, sha256
from edgekit.display import Log
from edgekit.errors import DeviceError

#: A short command on a phone that is awake takes some 50 ms.
ANSWER_S = 20.0
#: How long a phone whose connection broke may take to be back: adb 29 looks for it after 10 s. Its
#: job waits longer (`job.LEASE_S`).
PATIENCE_S = 20.0
_FETCH_S = 300.0
#: What is left to do when something went wrong is not worth more.
_END_S = 5.0
#: Sending: the least rate of a poor Wi-Fi connection, and what comes on top.
_BYTES_PER_S, _SEND_S = 500_000, 60.0

_FROZEN_HINT = "wake and unlock it, or unplug it and plug it in again"
_BROKEN_HINT = "check its cable or network, then do the same again: nothing has to be cleaned up"
#: Of the mark that ends an answer, and the line end behind it.
_MOST_MARK_BYTES = 32
#: Exit code of a check that finds another hash.
_DAMAGED = 65
_FULL = ("No space left on device", "Disk quota exceeded")
#: What the phone itself says against a file, rather than the connection to it.
_REFUSALS = ("Permission denied", "Read-only file system", "Operation not permitted", "Is a directory")


class _Lost(DeviceError):
    """The connection broke; the phone itself may be as well as ever."""


class Connection:
    """A phone that adb knows.

    Args:
        device: What messages call it.
        serial: Its serial number.
    """

    def __init__(self, device: str, serial: str):
        self.device = device
        self.serial = serial

    def ask(self, command: str, *, timeout_s: float = ANSWER_S) -> Answer:
        """Run a command of the phone's shell to its end.

        Args:
            command: For ``sh``; words that come from elsewhere have to be quoted. It must not leave the shell.
            timeout_s: How long a phone that works may take.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke, or the phone gave no answer.
        """
        status, output, errors = self._shell(command, timeout_s)
        return Answer(status, output.decode(errors="replace"), errors)

    def do(self, command: str, *, timeout_s: float = ANSWER_S) -> str:
        """A command that has to succeed; its output.

        Raises:
            DeviceError: ``EK-DEVICE``: it did not, with its last words; ``EK-CONNECT`` as `ask`.
        """
        return self.ask(command, timeout_s=timeout_s).must(self.device)

    def run(
        self, arguments: Sequence[str], *, folder: str, timeout_s: float, log: Log, most_bytes: int = client.MOST_BYTES
    ) -> Answer:
        """Run a program that may take long, which goes on there while the connection is lost for a moment.

        Args:
            folder: There, for its files; its home as well.
            most_bytes: What the program may write.

        Raises:
            DeviceError: ``EK-CONNECT``: the connection broke and did not come back, or the phone gave no answer;
                ``EK-DEVICE``: it is there and the program took longer than it may.
        """
        name = f"{folder}/job-{secrets.token_hex(8)}"
        command, deadline = job.run(name, arguments, home=folder), time.monotonic() + timeout_s
        try:
            while True:
                try:
                    left_s = deadline - time.monotonic()
                    status, output, errors = self._shell(command, left_s, sign=job.show(name), most_bytes=most_bytes)
                    return Answer(status, output.decode(errors="replace"), errors)
                except _Lost:
                    log(f"the connection to {self.device} broke: waiting for it, what runs there goes on")
                    if not self._returns():
                        raise
        finally:
            with contextlib.suppress(DeviceError):  # without an answer it ends by itself
                self.ask(job.end(name), timeout_s=_END_S)

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
        answer.must(self.device)

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
            if there.get(f"./{name}") != file_sha256(path):
                raise self._damaged(name)
        # On disk before it gets its name: what bears it is not looked into again.
        self.do(
            f"sync; rm -rf {shlex.quote(target)} && mv {shlex.quote(part)} {shlex.quote(target)}", timeout_s=limit_s
        )

    def fetch(self, file: str, most_bytes: int) -> bytes:
        """The contents of *file*, which may not have more than *most_bytes*.

        Raises:
            DeviceError: ``EK-DEVICE``: it cannot be read; ``EK-CONNECT``: the connection broke.
        """
        status, output, errors = self._shell(f"cat {shlex.quote(file)}", _FETCH_S, sign=":", most_bytes=most_bytes)
        if status != 0:
            raise failure(self.device, Answer(status, "", errors))
        return output

    def _shell(
        self, command: str, timeout_s: float, *, sign: str = "", most_bytes: int = client.MOST_BYTES
    ) -> tuple[int, bytes, tuple[str, ...]]:
        """Exit code, output and lines on standard error.

        Args:
            sign: For a command that may well take longer than a phone that works needs for an answer: a short command
                that the phone is given meanwhile, to see that it is still there.
        """
        token = secrets.token_hex(8)
        try:
            words = ["shell", f'{{ {command}\n}}; echo "{token}:$?:"']
            done = self._call(words, timeout_s, sign=sign, most_bytes=most_bytes + _MOST_MARK_BYTES)
        except client.Late:
            if not sign:
                raise self._frozen(timeout_s) from None
            reason = f"{self.device}: no result after {timeout_s:.0f} s"
            raise DeviceError("EK-DEVICE", reason, "does it hang?") from None
        position = done.output.rfind(token.encode())
        end = re.fullmatch(rb":(\d{1,3}):\s{0,4}", done.output[position + len(token) :]) if position >= 0 else None
        if end is None:
            raise self._broken(done)
        return int(end[1]), done.output[:position], tuple(done.errors.splitlines())

    def _push(self, sources: Sequence[str], target: str, size_bytes: int) -> None:
        limit_s = _limit_s(size_bytes)
        try:
            done = self._call(["push", *sources, target], limit_s, sign=":")
        except client.Late:
            reason = f"{self.device} did not take {size_bytes / 1e6:.0f} MB in {limit_s:.0f} s"
            raise DeviceError("EK-CONNECT", reason, _BROKEN_HINT) from None
        if done.exit_code == 0:
            return
        for line in done.said:
            if any(words in line for words in _FULL):
                where = shlex.quote(target)  # free what the part that was sent takes
                self.ask(f"rm -rf {where}/.*.part; case {where} in *.part) rm -rf {where};; esac")
                raise DeviceError("EK-DEVICE", f"{self.device}: the disk is full", "free some space there")
            if any(words in line for words in _REFUSALS):
                raise DeviceError("EK-DEVICE", f"{self.device}: {line.rpartition('remote ')[2]}")
        raise self._broken(done)

    def _damaged(self, name: str) -> DeviceError:
        reason = f"{self.device}: {name} arrived damaged"
        return DeviceError("EK-DEVICE", reason, "do it again; another cable or port may help")

    def _call(
        self, arguments: Sequence[str], timeout_s: float, *, sign: str = "", most_bytes: int = client.MOST_BYTES
    ) -> client.Call:
        watch = (lambda: self._look(sign)) if sign else None
        words = ["-s", self.serial, *arguments]
        return client.call(words, timeout_s=timeout_s, most_bytes=most_bytes, watch=watch)

    def _look(self, sign: str) -> None:
        """Raise unless the phone answers: adb itself waits for ever for one that is frozen."""
        try:
            self._call(["shell", sign], ANSWER_S)
        except client.Late:
            raise self._frozen(ANSWER_S) from None

    def _returns(self) -> bool:
        """Whether the phone comes back before long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if any((phone.serial, phone.state) == (self.serial, "device") for phone in listing.phones()):
                return True
            time.sleep(0.5)
        return False

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
        return _Lost("EK-CONNECT", f"the connection to {self.device} broke{detail}", _BROKEN_HINT)


def _checked_move(part: str, name: str, data: bytes) -> str:
    """The shell's command that gives *part* its name, if its hash is that of *data*."""
    source, digest = shlex.quote(part), sha256(data)
    return (
        f'hash=$(sha256sum {source}) && {{ [ "${{hash%% *}}" = {digest} ] || {{ echo {shlex.quote(name)}; '
        f"(exit {_DAMAGED}); }}; }} && mv -f {source} {shlex.quote(name)}"
    )


def _limit_s(size_bytes: int) -> float:
    return _SEND_S + size_bytes / _BYTES_PER_S
