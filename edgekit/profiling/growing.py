"""A profile that grows by one device after the other, in files that have each of them as soon as it is added."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgekit.documents import canonical_json
from edgekit.errors import EdgekitError
from edgekit.profiling.files import free_name
from edgekit.runtime.profiler.profile import DeviceRecord, Profile
from edgekit.runtime.profiler.records import Cell
from edgekit.writing import replacing

#: Where they stand in `canonical_json` of a profile that has none: at this depth there is nothing else of these names.
_NO_CELLS, _NO_DEVICES = '\n  "cells": []', '\n  "devices": []'


class GrowingProfile:
    """Devices and their rows, added one by one. Safe to use from several threads.

    Each device and row is encoded once: adding one more costs a copy of the bytes that are there already, and no work
    on them. A file is replaced as a whole: readers, and a crash, find it with the device or without. It has the bytes
    that `edgekit.profiling.files.write_profile` gives it.
    """

    def __init__(self, head: Profile, files: Sequence[Path]):
        """
        Args:
            head: Everything but devices and rows.
            files: Where it is kept; their folders have to be there. Nothing is written before there is a device.
        """
        self._head = replace(head, devices=(), cells=())
        frame = canonical_json(self._head.to_json()).decode()
        before, _, rest = frame.partition(_NO_CELLS)
        between, _, after = rest.partition(_NO_DEVICES)
        self._frame = before, between, after
        self._lock = threading.Lock()
        self._devices: list[DeviceRecord] = []
        self._cells: list[Cell] = []
        self._encoded_devices: list[bytes] = []
        self._encoded_cells: list[bytes] = []
        self._on_disk = dict.fromkeys(files, 0)  # devices in each

    @property
    def profile(self) -> Profile:
        """All of it, as it is now."""
        with self._lock:
            return replace(self._head, devices=tuple(self._devices), cells=tuple(self._cells))

    @property
    def unwritten(self) -> int:
        """How many of the devices are not in every file."""
        with self._lock:
            return len(self._devices) - min(self._on_disk.values(), default=len(self._devices))

    def add(self, record: DeviceRecord, cells: Sequence[Cell]) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """Add a device under a name that none has yet, in memory: `write` brings it to the files.

        Returns:
            It and its rows under that name.
        """
        with self._lock:
            name = free_name(record.name, {each.name for each in self._devices})
            record, cells = replace(record, name=name), tuple(replace(cell, device=name) for cell in cells)
            encoded = [_encoded(cell) for cell in cells]
            self._encoded_devices.append(_encoded(record))
            self._encoded_cells += encoded
            self._devices.append(record)
            self._cells += cells
            return record, cells

    def write(self) -> None:
        """Bring every file up to date, on the disk itself. What could not be written is tried again the next time.

        Raises:
            EdgekitError: ``EK-WRITE``, ``EK-SPACE``: a file cannot be written; the others are.
        """
        with self._lock:
            behind = [file for file, count in self._on_disk.items() if count < len(self._devices)]
            if not behind:
                return
            failure = None
            for file in behind:
                try:
                    with replacing(file, parents=False) as temporary, temporary.open("wb") as stream:
                        stream.writelines(self._parts())
                    self._on_disk[file] = len(self._devices)
                except EdgekitError as error:
                    failure = failure or error
            if failure is not None:
                raise failure

    def _parts(self) -> Iterator[bytes]:
        before, between, after = self._frame
        yield before.encode()
        yield from _listed("cells", self._encoded_cells)
        yield between.encode()
        yield from _listed("devices", self._encoded_devices)
        yield after.encode()


def _encoded(record: Any) -> bytes:
    """As it stands in a list of `canonical_json`; no text holds a bare line end."""
    text = json.dumps(asdict(record), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.replace("\n", "\n    ").encode()


def _listed(name: str, items: Sequence[bytes]) -> Iterator[bytes]:
    yield f'\n  "{name}": ['.encode()
    for index, item in enumerate(items):
        yield b",\n    " if index else b"\n    "
        yield item
    yield b"\n  ]" if items else b"]"
