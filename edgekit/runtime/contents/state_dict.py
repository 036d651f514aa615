"""Weights that ``torch.save`` wrote: a pickle of tensors and little else, in a zip file or, before 2020, in a row.

``torch.load`` of torch 2.13.0 with ``weights_only=True`` runs no code; it makes tensors of any size out of few bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents import pickles, zips
from edgekit.runtime.contents.allowed import STATE_DICT
from edgekit.runtime.contents.pickles import Name, Reference
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.torch_tensors import REBUILT, STORAGES, is_storage, tensors
from edgekit.runtime.contents.zips import Packed

_FILES = frozenset({"data.pkl", "byteorder", "version", ".data/serialization_id", ".format_version"})
_FILES |= {".storage_alignment"}
#: What files of before 2020 begin with.
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@dataclass(frozen=True)
class StateDict(Packed):
    """A file of weights.

    Attributes:
        value: What it holds, with calls as `edgekit.runtime.contents.pickles.Object`.
        whole: The file, where it is no archive, as those of before 2020.
    """

    value: Any
    whole: bytes | None = None

    @property
    def data(self) -> bytes:
        return super().data if self.whole is None else self.whole


@reading("it holds no weights")
def read(data: bytes) -> StateDict:
    """Read and check a file of weights. Raises as `edgekit.runtime.contents.check`."""
    if data[:2] != b"PK":
        return StateDict({}, _in_a_row(data), data)
    files = zips.within_folder(zips.unpack(data, _reads))
    if "data.pkl" not in files or files.get("byteorder", b"little") != b"little":
        raise Malformed("it holds no weights, or big-endian ones")
    value = pickles.load(files["data.pkl"], _allows)
    sizes = {name.partition("data/")[2]: len(contents) for name, contents in files.items()}
    tensors(pickles.walk(value), sizes.get)
    return StateDict({f"archive/{name}": contents for name, contents in files.items()}, value)


def _reads(name: str) -> bool:
    inner = name.partition("/")[2]
    if inner not in _FILES and not (inner.startswith("data/") and inner.count("/") == 1):
        raise Refused(f"it holds {shown(name)}, which weights do not need", "is more than weights")
    return True


def _allows(name: Name) -> bool:
    if is_storage(name) or (name.module == "torch._utils" and name.name in REBUILT):
        return True
    return str(name) in STATE_DICT


def _in_a_row(data: bytes) -> Any:
    """What a file of before 2020 holds: three pickles about itself, the weights, keys of storages, and those."""
    magic, offset = pickles.load_first(data, 0, _allows)
    protocol, offset = pickles.load_first(data, offset, _allows)
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise Malformed("it holds no weights that torch.save() wrote")
    _, offset = pickles.load_first(data, offset, _allows)
    value, offset = pickles.load_first(data, offset, _allows)
    keys, offset = pickles.load_first(data, offset, _allows)
    parts = pickles.walk(value)
    widths = {}
    for part in parts:
        if isinstance(part, Reference) and isinstance(part.value, tuple) and len(part.value) >= 5:
            kind, key = part.value[1], str(part.value[2])
            widths[key] = STORAGES[kind.name][1] if isinstance(kind, Name) and is_storage(kind) else 0
    sizes: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else ():
        if offset + 8 > len(data):
            raise Malformed("its weights are cut short")
        (count,) = struct.unpack_from("<q", data, offset)
        size = count * widths.get(str(key), 0)
        offset += 8 + size
        if count < 0 or offset > len(data):
            raise Malformed("its weights are cut short")
        sizes[str(key)] = size
    tensors(parts, sizes.get)
    return value
