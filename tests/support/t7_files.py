"""Torch7 files for tests, written from the format's description: no Torch7 is left to write one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_NAMES = {"f4": "Float", "f8": "Double", "i8": "Long", "u1": "Byte"}


@dataclass
class Lua:
    """An object of class *name* with these fields."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)


def layers(name: str, *modules: Lua, **fields: Any) -> Lua:
    """A container ``nn.NAME`` of *modules*."""
    return Lua(f"nn.{name}", {"modules": dict(enumerate(modules, 1)), "train": False, **fields})


def layer(name: str, **fields: Any) -> Lua:
    return Lua(f"nn.{name}", {"train": False, "_type": "torch.FloatTensor", **fields})


def write(value: Any, path: Path, ascii: bool = False) -> Path:
    writer = _Ascii() if ascii else _Binary()
    _put(writer, value, {})
    path.write_bytes(b"".join(writer.parts))
    return path


class _Binary:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def integer(self, value: int) -> None:
        self.parts.append(struct.pack("<i", value))

    def longs(self, *values: int) -> None:
        self.parts.append(struct.pack(f"<{len(values)}q", *values))

    def number(self, value: float) -> None:
        self.parts.append(struct.pack("<d", value))

    def text(self, value: str) -> None:
        self.integer(len(value))
        self.parts.append(value.encode())

    def array(self, value: np.ndarray) -> None:
        self.parts.append(value.tobytes())


class _Ascii(_Binary):
    def integer(self, value: int) -> None:
        self.parts.append(b"%d\n" % value)

    def longs(self, *values: int) -> None:
        self.parts.append(" ".join(map(str, values)).encode() + b"\n")

    def number(self, value: float) -> None:
        self.parts.append(f"{value:.17g}\n".encode())

    def text(self, value: str) -> None:
        self.integer(len(value))
        self.parts.append(value.encode() + b"\n")

    def array(self, value: np.ndarray) -> None:
        shown = "%.9g" if value.dtype.kind == "f" else "%d"
        self.parts.append(" ".join(shown % each for each in value.tolist()).encode() + b"\n")


def _put(writer: _Binary, value: Any, known: dict[int, int]) -> None:
    if value is None:
        writer.integer(0)
    elif isinstance(value, bool):
        writer.integer(5)
        writer.integer(int(value))
    elif isinstance(value, (int, float)):
        writer.integer(1)
        writer.number(value)
    elif isinstance(value, str):
        writer.integer(2)
        writer.text(value)
    elif isinstance(value, dict):
        writer.integer(3)
        if not _again(writer, value, known):
            writer.integer(len(value))
            for key, item in value.items():
                _put(writer, key, known)
                _put(writer, item, known)
    else:
        writer.integer(4)
        if not _again(writer, value, known):
            writer.text("V 1")
            if isinstance(value, Lua):
                writer.text(value.name)
                _put(writer, value.fields, known)
            else:
                _put_tensor(writer, value, known)


def _again(writer: _Binary, value: Any, known: dict[int, int]) -> bool:
    seen = id(value) in known
    writer.integer(known.setdefault(id(value), len(known) + 1))
    return seen


def _put_tensor(writer: _Binary, value: np.ndarray, known: dict[int, int]) -> None:
    kind = _NAMES[value.dtype.str[1:]]
    stored = np.ascontiguousarray(value).reshape(-1)
    writer.text(f"torch.{kind}Tensor")
    writer.integer(value.ndim)
    if value.ndim or not isinstance(writer, _Ascii):
        writer.longs(*value.shape)
        writer.longs(*(step // value.itemsize for step in np.ascontiguousarray(value).strides))
    writer.longs(1)
    writer.integer(4)
    _KEPT.append(stored)  # so that no other gets its number
    writer.integer(known.setdefault(id(stored), len(known) + 1))
    writer.text("V 1")
    writer.text(f"torch.{kind}Storage")
    writer.longs(stored.size)
    writer.array(stored)


_KEPT: list[np.ndarray] = []
