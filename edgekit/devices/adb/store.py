"""What edgekit keeps on a phone: below ``/data/local/tmp/edgekit``, where adb's shell may run programs.

``runners/DIGEST`` is a self-contained runner, ``models/SHA256.FORMAT`` a model file, ``work/TOKEN`` holds the inputs
and outputs of one session. What bears such a name was sent whole and is on disk.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import tempfile
from pathlib import Path, PurePosixPath

from edgekit.bundle import Bundle
from edgekit.devices.adb.connection import Connection
from edgekit.devices.adb.phone import FOLDER
from edgekit.devices.payload.part import Part
from edgekit.display import Log
from edgekit.errors import DeviceError
from edgekit.manifest import Variant
from edgekit.runtime.contents import read_variant

ROOT = f"{FOLDER}/edgekit"

#: Beside what is sent: room for inputs, outputs and what else the phone does.
_SPARE_BYTES = 32 << 20
#: A phone that does not answer is not worth waiting for when all that is left is tidying up.
_TIDY_S = 5.0


class Store:
    """Sends what the phone lacks.

    Args:
        free_bytes: Of the phone's disk; None where that is not known.
    """

    def __init__(self, connection: Connection, free_bytes: int | None, log: Log):
        self._connection = connection
        self._free_bytes = free_bytes
        self._log = log
        self._workspace: str | None = None

    def runner(self, part: Part) -> str:
        """Path of the script that starts the runner in *part*.

        Raises:
            DeviceError: ``EK-DEVICE``: there is no room for it; ``EK-CONNECT``: the connection broke.
        """
        assert part.runner is not None
        folder = f"{ROOT}/runners"
        if self._connection.ask(f"[ -d {folder}/{part.digest} ] && touch {folder}/{part.digest}").status != 0:
            self._connection.do(f"mkdir -p {folder} && rm -rf {folder}/*.part")
            self._check_room(part.unpacked_bytes)
            self._log(f"sending the runner ({part.unpacked_bytes / 1e6:.0f} MB)")
            with tempfile.TemporaryDirectory(prefix="edgekit-runner-") as scratch:
                part.unpack(Path(scratch))
                self._connection.put_folder(Path(scratch), f"{folder}/{part.digest}")
        return f"{folder}/{part.digest}/{part.runner}"

    def model(self, bundle: Bundle, entry: Variant) -> str:
        """Path of the file of *entry*, whose hash there is that of the manifest.

        Raises:
            DeviceError: As `runner`.
            BundleError: The file is damaged here, or holds more than data.
        """
        folder, name = f"{ROOT}/models", f"{entry.sha256}.{entry.format}"
        known = self._connection.ask(f"cd {folder} && touch -c {name} && sha256sum {name}")
        if known.output.partition(" ")[0] != entry.sha256:
            self._check_room(entry.size_bytes)
            self._log(f"sending {entry.name} ({entry.size_bytes / 1e6:.1f} MB)")
            self._connection.do(f"mkdir -p {folder}")
            self._connection.put({name: bytes(read_variant(bundle, entry).data)}, folder)
        return f"{folder}/{name}"

    def workspace(self) -> str:
        """Path of this session's folder. What no session has used for days is removed: it was replaced."""
        if self._workspace is None:
            folder = f"{ROOT}/work/{secrets.token_hex(8)}"
            folders = " ".join(f"{ROOT}/{name}" for name in ("runners", "models", "work"))
            old = f"find {folders} -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {{}} +"
            self._connection.do(f"mkdir -p {folder} && {{ {old} 2>/dev/null; true; }}")
            self._workspace = folder
        return self._workspace

    def put(self, file: str, data: bytes) -> None:
        """Write *data* into *file*, in place of what is there."""
        path = PurePosixPath(file)
        self._connection.put({path.name: data}, str(path.parent))

    def tidy(self) -> None:
        """Remove this session's folder, where the phone still answers."""
        if self._workspace is not None:
            with contextlib.suppress(DeviceError):
                self._connection.ask(f"rm -rf {shlex.quote(self._workspace)}", timeout_s=_TIDY_S)
            self._workspace = None

    def _check_room(self, needed_bytes: int) -> None:
        if self._free_bytes is None:
            return
        if self._free_bytes < needed_bytes + _SPARE_BYTES:
            free, needed = self._free_bytes / 1e6, (needed_bytes + _SPARE_BYTES) / 1e6
            reason = f"{self._connection.device} has {free:.0f} MB of disk free, {needed:.0f} MB are needed"
            raise DeviceError("EK-DEVICE", reason, "free some space there; nothing was sent")
        self._free_bytes -= needed_bytes
