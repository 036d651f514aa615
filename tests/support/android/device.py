"""A simulated device as a test holds it: switched on, off, frozen, pulled out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO

from support.android import phone as facts
from support.android.phone import Phone

_TESTS = Path(__file__).resolve().parents[2]


class SimulatedDevice:
    """A context manager: on from entry to exit. Needs root and Linux 6.7.

    Attributes:
        serial: What adb calls it once it is connected.
        phone: Its model.
    """

    def __init__(
        self,
        system: Path,
        phone: Phone | None = None,
        *,
        door: str = "none",
        trusted: Iterable[str] = (),
        state: str = "device",
    ):
        """Nothing runs yet.

        Args:
            system: As `system.directory` gives it.
            door: Who is let in: a mode of `protocol.Door`.
            trusted: Texts of ``adbkey.pub`` of hosts that are let in by their keys.
            state: What adb calls it: ``device``, ``recovery``, ``sideload``.
        """
        self.phone = phone or Phone()
        self._system = system
        self._plan = {
            "parent": os.getpid(),
            "root": str(self._system),
            "phone": asdict(self.phone),
            "door": door,
            "trusted": list(trusted),
            "state": state,
        }
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._init = 0
        self._log: IO[str] | None = None

    def __enter__(self) -> SimulatedDevice:
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def files(self) -> Path:
        """The device's root as it sees it now, for looking and changing from outside, with all rights."""
        assert self._process is not None, "the device is off"
        return Path(f"/proc/{self._init}/root{self._system}")

    @property
    def programs(self) -> list[str]:
        """The command lines of what runs on it, without adbd."""
        found = []
        for file in (self.files / "proc").glob("[0-9]*/cmdline"):
            try:
                words = file.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"qemu" in words[0]:
                found.append(b" ".join(words[1:]).decode(errors="replace").strip())
        return found

    def power_on(self) -> None:
        """Switch it on, at the address it had before if it was on before. Its storage is empty."""
        assert self._process is None, "the device is on"
        plan = json.dumps({**self._plan, "port": self._port})
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by power_off
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.android.power", plan],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_TESTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        told: dict[str, int] = {}
        while not {"init", "port"} <= told.keys():
            line = self._answer()
            told.update(json.loads(line))
        self._init, self._port = told["init"], told["port"]

    def power_off(self) -> None:
        """Switch it off at once: everything on it ends, what was stored is gone. Nothing happens when it is off."""
        if self._process is not None and self._log is not None:
            os.kill(self._init, signal.SIGKILL)
            self._process.communicate()
            self._log.close()
            self._process = None

    def freeze(self) -> None:
        """Nothing on it runs any more; the kernel still holds its connections."""
        os.kill(self._init, signal.SIGUSR1)

    def thaw(self) -> None:
        os.kill(self._init, signal.SIGUSR2)

    def drop(self, after_bytes: int = 0) -> None:
        """End every connection, at once or once so many more bytes were moved. adb's server reconnects by itself."""
        self._tell(f"drop {after_bytes} returns")

    def unplug(self, after_bytes: int = 0) -> None:
        """The same, but it cannot be reached until `plug`. Programs that do not depend on adb go on."""
        self._tell(f"drop {after_bytes} stays")

    def plug(self) -> None:
        self._tell("plug")

    def set_door(self, mode: str) -> None:
        """Who is let in from the next connection on: a mode of `protocol.Door`."""
        self._tell(f"door {mode}")

    def allow(self) -> None:
        """Somebody taps on *Allow* at the device: the host that asks now is let in, and remembered."""
        self._tell("allow")

    def set_state(self, state: str) -> None:
        """What adb calls it from the next connection on."""
        self._tell(f"state {state}")

    def set_heat(self, *, status: int = 0, cpu_celsius: float = 41.2, skin_celsius: float = 31.6) -> None:
        """What ``dumpsys thermalservice`` tells; *status* from 0 (none) to 6 (shutdown)."""
        report = facts.thermal_report(status, cpu_celsius, skin_celsius)
        (self.files / "vendor/dumpsys/thermalservice").write_text(report)

    def set_battery(self, *, level: int = 83, celsius: float = 29.8, charging: bool = True) -> None:
        """What ``dumpsys battery`` tells; *level* in percent."""
        report = facts.battery_report(level, celsius, charging)
        (self.files / "vendor/dumpsys/battery").write_text(report)

    def set_frequency(self, core: int, khz: int) -> None:
        """The frequency of *core* and of those that share its clock."""
        (self.files / facts.frequency_file(self.phone, core)).write_text(f"{khz}\n")

    def _tell(self, command: str) -> None:
        assert self._process is not None and self._process.stdin is not None, "the device is off"
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert answer == "ok", answer

    def _answer(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._log is not None
            self._log.seek(0)
            reason = self._log.read().strip().splitlines() or ["no reason given"]
            raise AssertionError(f"the simulated device ended: {reason[-1]}")
        return line.strip()
