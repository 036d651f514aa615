"""The state of a machine behind a shell: its files are read there by one program, and understood here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from edgekit.devices.transport import described
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

#: Each of them as its folders; a name in one of them.
_PATTERNS = tuple(file.split("/") for file in _FILES)
_NAME = re.compile(r"[\w:.-]{1,100}")
#: Of all files, of one of them, and of a line of one.
_MOST_FILES, _MOST_LINES, _MOST_CHARACTERS = 2000, 2000, 1000
#: What the file has that holds a colon in its name.
_THROTTLED = "/get_throttled:"


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
        self._throttled = None
        for line in text.split("\n"):
            if line.startswith("throttled=") and self._throttled is None:
                self._throttled = line[:_MOST_CHARACTERS]
            if not line.startswith("/"):
                continue
            name, content = _taken_apart(line[:_MOST_CHARACTERS])
            if (name in files or len(files) < _MOST_FILES) and _is_looked_at(name):
                files.setdefault(name, []).append(content)
        for name, lines in files.items():
            file = self._root / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines[:_MOST_LINES]) + "\n", encoding="utf-8")
        if self._board is None:
            self._board = Board(self._root, clock=self._uptime_s, vcgencmd=self._firmware)
        return self._board.look()

    def _uptime_s(self) -> float:
        try:
            said = (self._root / "proc/uptime").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        return max(0.0, described.decimal(said.partition(" ")[0]) or 0.0)

    def _firmware(self, command: str) -> str | None:
        return self._throttled if command == "get_throttled" else None


def _taken_apart(line: str) -> tuple[str, str]:
    """The file's name and what stands in its line."""
    before, throttled, bits = line.partition(_THROTTLED)
    if throttled:
        return before + _THROTTLED[:-1], bits
    name, _, content = line.partition(":")
    return name, content


def _is_looked_at(name: str) -> bool:
    """Whether it is one of `_FILES`: a name decides where something is written to here."""
    parts = name.split("/")
    if parts[0] or not all(_NAME.fullmatch(part) and part.strip(".") for part in parts[1:]):
        return False
    return any(len(pattern) == len(parts) and all(map(fnmatchcase, parts, pattern)) for pattern in _PATTERNS)
