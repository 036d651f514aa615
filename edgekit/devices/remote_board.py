"""The state of a machine behind a shell: its files are read there by one program, and understood here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.records import BoardState

_CPU, _HWMON = "/sys/devices/system/cpu/cpu[0-9]*", "/sys/class/hwmon/hwmon*"
#: What a `Board` reads.
_FILES = (
    "/proc/stat",
    "/proc/meminfo",
    "/proc/uptime",
    *(f"{_CPU}/cpufreq/scaling_{name}" for name in ("cur_freq", "max_freq", "governor")),
    *(f"{_CPU}/thermal_throttle/{name}_throttle_count" for name in ("core", "package")),
    f"{_CPU}/topology/physical_package_id",
    *(f"/sys/class/thermal/thermal_zone*/{name}" for name in ("type", "temp")),
    *(f"{_HWMON}/{name}" for name in ("name", "temp1_input", "in0_lcrit_alarm")),
    "/sys/devices/platform/soc*/soc*:firmware/get_throttled",
    *(f"/sys/class/power_supply/*/{name}" for name in ("type", "scope", "online", "status")),
)

#: For ``sh``: every line of those files behind the file's name, and what a Raspberry Pi's firmware says. One ``grep``
#: takes some milliseconds, a program for each file would take as many for each.
SCRIPT = f"grep -sH '' {' '.join(_FILES)}; vcgencmd get_throttled 2>/dev/null; :"

_LINE = re.compile(r"(/.*get_throttled|/[^:]*):(.*)")


class RemoteBoard:
    """Looks at another machine, as a `Board` does at this one. Nothing tells whose doing its load is.

    Args:
        read: Gives what `SCRIPT` prints there.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._mirror = tempfile.TemporaryDirectory(prefix="edgekit-board-")
        self._root = Path(self._mirror.name)
        self._board: Board | None = None
        self._throttled: str | None = None

    def look(self) -> BoardState:
        """The machine now, its load since the look before."""
        text = self._read()
        files: dict[str, list[str]] = {}
        for name, line in _LINE.findall(text):
            files.setdefault(name, []).append(line)
        for name, lines in files.items():
            file = self._root / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._throttled = next(iter(re.findall(r"^throttled=.*", text, re.MULTILINE)), None)
        if self._board is None:
            self._board = Board(self._root, clock=self._uptime_s, vcgencmd=self._firmware)
        return self._board.look()

    def _uptime_s(self) -> float:
        try:
            return float((self._root / "proc/uptime").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return 0.0

    def _firmware(self, command: str) -> str | None:
        return self._throttled if command == "get_throttled" else None
