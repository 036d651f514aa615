"""Damaged and forged model files, one for each seed: by bytes, by fields, by the objects of their format, by parts.

What a seed gives depends on the libraries that write the formats (`tree_of`), and on nothing else.
"""

from __future__ import annotations

import copy
import io
import json
import pickletools
import random
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
from support.hostile_files import packed, unpacked

from edgekit.runtime.contents import check, flatbuffer

_WORDS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0")
_NUMBERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000, 4096, 65535, 65536, 10**6, 2**24,
    2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, -1, -2, -3, -127, -128, -(2**15), -(2**31),
    -(2**63),
)  # fmt: skip
_VALUES = (None, True, -1, 0, 1, 2**31, 2**63, 10**30, -1.5, 1e308, "", "x", [], {}, [[]], {"x": 1})
_FLOATS = (0.0, -1.0, 1e30, float("nan"), float("inf"), 1e-30)
_NAMES = ("../x", "/tmp/x", "x" * 300, "code/__torch__.py", "extra/x", "data/9", "assets/x", "version", "x\0")
#: How many places are changed at a time.
_TIMES = (1, 1, 1, 2, 3)
#: Kinds of mutant of a format, with their shares.
_FLAT = {"fields": 35, "tree": 30, "damage": 20, "parts": 15}
_ARCHIVE = {"archive": 85, "damage": 7, "parts": 8}
KINDS = {
    "tflite": _FLAT, "pte": _FLAT, "onnx": {"tree": 55, "damage": 25, "parts": 20}, "ptl": _ARCHIVE, "pt2": _ARCHIVE,
    "keras": _ARCHIVE,
}  # fmt: skip
#: What a mutant is tried anew for: it is the file itself, or cannot be written.
_TRIES = 20

Files = Sequence[bytes]


def mutant(data: bytes, format: str, seed: int, others: Files = ()) -> bytes:
    """Another file than *data*, of which parts may be of the *others*."""
    return described(data, format, seed, others)[1]


def described(data: bytes, format: str, seed: int, others: Files = ()) -> tuple[str, bytes]:
    """The same with its kind."""
    chance = random.Random(f"{format} {seed}")
    kinds = KINDS[format]
    for _ in range(_TRIES):
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        try:
            changed = _changed(kind, data, format, chance, others or (data,))
        except Exception:  # the library that writes the format has its own view of what was made of the objects
            continue
        if changed != data:
            return kind, changed
    return "parts", data[:-1]


def _changed(kind: str, data: bytes, format: str, chance: random.Random, others: Files) -> bytes:
    match kind:
        case "fields":
            return _fields(data, format, chance)
        case "tree":
            return tree_of(data, format, chance)
        case "archive":
            return _archive(data, chance, others)
        case "parts":
            return parts(data, chance, others)
    return damaged(data, chance)


# Bytes


def damaged(data: bytes, chance: random.Random) -> bytes:
    """*data* with a few bits, bytes or words changed, most often where the structure is."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16)) if data else 0):
        place, near = chance.randrange(len(data)), chance.randrange(min(len(data), 4096))
        match chance.randrange(6):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[near] = chance.choice((0, 1, 2, 3, 4, 8, 127, 128, 255))
            case 2:
                changed[near] = (changed[near] + chance.choice((-1, 1))) % 256
            case 3:
                changed[place & ~3 : (place & ~3) + 4] = chance.choice((*_WORDS, chance.randbytes(4)))
            case 4:
                changed[near & ~3 : (near & ~3) + 4] = chance.randbytes(4)
            case 5:
                changed[place & ~3 : (place & ~3) + 4] = changed[near & ~3 : (near & ~3) + 4]
    return bytes(changed[: len(data)])


def parts(data: bytes, chance: random.Random, others: Files) -> bytes:
    """*data* with a part cut off, doubled, moved, left out, filled, or taken from another file."""
    length = len(data)
    begin = chance.randrange(length)
    end = min(length, begin + chance.choice((1, 2, 4, 8, 30, 100, 1000, length // 2 + 1)))
    rest = data[:begin] + data[end:]
    match chance.randrange(9):
        case 0:
            return data[:begin]
        case 1:
            return data[: -chance.choice((1, 2, 4, 8, 16, 64))]
        case 2:
            return data + chance.choice((b"\0", bytes(4096), chance.randbytes(100), data))
        case 3:
            return rest
        case 4:
            return data[:end] + data[begin:]
        case 5:
            place = chance.randrange(len(rest) + 1)
            return rest[:place] + data[begin:end] + rest[place:]
        case 6:
            filling = chance.choice((bytes(end - begin), b"\xff" * (end - begin), chance.randbytes(end - begin)))
            return data[:begin] + filling + data[end:]
        case 7:
            other, size, place = chance.choice(others), chance.choice((4, 16, 64, 256, 1024, 4096)), begin & ~3
            there = place if chance.random() < 0.5 else chance.randrange(len(other)) & ~3
            return data[:place] + other[there : there + size] + data[place + size :]
    return data[:begin] + chance.choice(others)[begin:]


# Fields of flatbuffers: every number that edgekit's own reader reads


def _fields(data: bytes, format: str, chance: random.Random) -> bytes:
    places = _places(data, format)
    changed = bytearray(data)
    for _ in range(chance.choice(_TIMES)):
        place, width = chance.choice(places)
        old = int.from_bytes(changed[place : place + width], "little", signed=True)
        other = chance.choice([each for each, size in places if size == width])
        new = chance.choice(
            (
                chance.choice(_NUMBERS), old + chance.choice((-4, -2, -1, 1, 2, 4)), chance.randrange(16),
                int.from_bytes(changed[other : other + width], "little"), old ^ (1 << chance.randrange(8 * width)),
                chance.choice((old * 2, old // 2, -old, old * 1000, old << 16)),
            )
        )  # fmt: skip
        changed[place : place + width] = (new & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(changed)


@cache
def _places(data: bytes, format: str) -> tuple[tuple[int, int], ...]:
    """Place and width of each number that is read, those within delegates' parts too; of long vectors the first."""
    start = np.frombuffer(data, np.uint8).ctypes.data
    found: set[tuple[int, int]] = set()

    def begin(view: bytes | memoryview) -> int:
        return int(np.frombuffer(view, np.uint8).ctypes.data) - start

    def noting(code: str) -> Any:
        unpack, width = flatbuffer._UNPACK[code], struct.calcsize(code)

        def noted(view: memoryview, at: int = 0) -> Any:
            found.add((begin(view) + at, width))
            return unpack(view, at)

        return noted

    plain = flatbuffer._Decoder._vector

    def vector(decoder: Any, name: str, kind: str, place: int, depth: int) -> Any:
        width = flatbuffer._SCALARS.get(kind, ("I", 4))[1]
        count = struct.unpack_from("<I", decoder._data, place)[0]
        if width > 1 or count <= 256:  # else weights, or other contents
            first = begin(decoder._data) + place + 4
            found.update((first + width * index, width) for index in range(min(count, 64)))
        return plain(decoder, name, kind, place, depth)

    unpacking = {code: noting(code) for code in flatbuffer._UNPACK}
    words = {"_U16": unpacking["H"], "_I32": unpacking["i"], "_U32": unpacking["I"]}
    with (
        mock.patch.multiple(flatbuffer, _UNPACK=unpacking, **words),
        mock.patch.object(flatbuffer._Decoder, "_vector", vector),
    ):
        check(data, format)
    return tuple(sorted((place, width) for place, width in found if 0 <= place <= len(data) - width))


# Objects, as the library that writes the format has them


def tree_of(data: bytes, format: str, chance: random.Random) -> bytes:
    """*data* read by its format's own library, changed in a few places, and written again."""
    if format == "onnx":
        import onnx

        found = onnx.load_from_string(data)
        change_messages(found, chance)
        return bytes(found.SerializeToString())
    if format == "pte":
        from executorch.exir._serialize._program import deserialize_pte_binary, serialize_pte_binary

        file = deserialize_pte_binary(data)
        _change_objects(file.program, chance)
        return bytes(serialize_pte_binary(file))
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    _change_objects(model, chance)
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _change_objects(root: Any, chance: random.Random) -> None:
    places: dict[
        tuple[str, Any], list[tuple[Any, Any]]
    ] = {}  # by class and attribute: weights shall not drown the rest
    for holder, key in _spots(root, 0):
        places.setdefault((type(holder).__name__, key if isinstance(key, str) else 0), []).append((holder, key))
    for _ in range(chance.choice(_TIMES)):
        alike = chance.choice(list(places.values()))
        holder, key = chance.choice(alike)
        new = _other_value(_get(holder, key), [_get(*each) for each in alike], chance)
        if isinstance(holder, list):
            holder[key] = new
        else:
            object.__setattr__(holder, key, new)  # dataclasses may be frozen


def _spots(value: Any, depth: int) -> Iterator[tuple[Any, Any]]:
    """Each object and list in *value* with each of its keys."""
    items = enumerate(value) if isinstance(value, list) else vars(value).items() if hasattr(value, "__dict__") else ()
    for key, item in list(items):
        yield value, key
        if depth < 14 and not isinstance(item, Enum):
            yield from _spots(item, depth + 1)


def _get(holder: Any, key: Any) -> Any:
    return holder[key] if isinstance(holder, list) else getattr(holder, key)


def _other_value(old: Any, alike: list[Any], chance: random.Random) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, Enum):
        return chance.choice(list(type(old)))
    if isinstance(old, (int, np.integer)):
        number = int(old)
        return chance.choice((chance.choice(_NUMBERS), number + 1, number - 1, chance.randrange(12), number * 2))
    if isinstance(old, float):
        return chance.choice((*_FLOATS, old * 2, -old))
    if isinstance(old, np.ndarray):
        return _other_array(old, chance)
    if isinstance(old, (str, bytes)):
        return chance.choice((old[:0], old * 2, old * 100, old[:-1], old + old[:1]))
    if isinstance(old, list) and old:
        return _other_list(old, chance)
    there = [each for each in alike if each is not None]
    return copy.deepcopy(chance.choice(there)) if there and chance.random() < 0.7 else None


def _other_array(old: np.ndarray, chance: random.Random) -> np.ndarray:
    match chance.randrange(4):
        case 0:
            return old[: chance.randrange(old.size + 1)]
        case 1:
            return np.concatenate([old, old])
    new = old.copy()
    if new.size:
        new.reshape(-1)[chance.randrange(new.size)] = chance.choice((0, 1, 2, 3, 5, 100, 127))
    return new


def _other_list(old: list[Any], chance: random.Random) -> list[Any] | None:
    new = list(old)
    one, other = chance.randrange(len(new)), chance.randrange(len(new))
    match chance.randrange(6):
        case 0:
            del new[one]
        case 1:
            new.insert(other, copy.deepcopy(new[one]))
        case 2:
            new[one], new[other] = new[other], new[one]
        case 3:
            new[one] = copy.deepcopy(new[other])
        case 4:
            return []
        case 5:
            return None
    return new


def change_messages(model: Any, chance: random.Random) -> None:
    """Change a few fields of the protobuf message *model*, or of those in it."""
    from google.protobuf.descriptor import FieldDescriptor

    for _ in range(chance.choice(_TIMES)):
        places: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
        waiting = [model]
        while waiting:
            message = waiting.pop()
            for field, value in message.ListFields():
                if hasattr(value, "values"):  # a map
                    waiting += [each for each in value.values() if hasattr(each, "ListFields")]
                    continue
                places.setdefault((message.DESCRIPTOR.name, field.name), []).append((message, field))
                if field.type == FieldDescriptor.TYPE_MESSAGE:
                    waiting += value if field.is_repeated else [value]
        alike = chance.choice(list(places.values()))
        message, field = chance.choice(alike)
        values = [getattr(each, field.name) for each, _ in alike]
        value = getattr(message, field.name)
        inner = field.type == FieldDescriptor.TYPE_MESSAGE
        if chance.random() < 0.15:
            message.ClearField(field.name)
        elif field.is_repeated:
            new = _other_list(list(value), chance) or []
            if not inner and new and chance.random() < 0.5:
                place = chance.randrange(len(new))
                new[place] = _other_value(new[place], list(new), chance)
            new = copy.deepcopy(new)
            message.ClearField(field.name)
            getattr(message, field.name).extend(new)
        elif inner:
            value.CopyFrom(copy.deepcopy(chance.choice(values)))
        else:
            setattr(message, field.name, _other_value(value, values, chance))


# Archives


def _archive(data: bytes, chance: random.Random, others: Files) -> bytes:
    files = unpacked(data)
    names = list(files)
    shares = [(1 + min(len(files[name]), 4000)) * (6 if name.endswith(("pkl", "json")) else 1) for name in names]
    if chance.random() < 0.75:
        for name in chance.choices(names, shares, k=chance.choice((1, 1, 1, 2))):
            files[name] = _member(name, files[name], chance, [*filter(None, files.values()), *others])
        return packed(files)
    one, other = chance.choices(names, shares)[0], chance.choice(names)
    match chance.randrange(8):
        case 0:
            del files[one]
        case 1:
            files[one], files[other] = files[other], files[one]
        case 2:
            files[one] = b""
        case 3:
            files[chance.choice((*_NAMES, one.upper(), f"{one}/"))] = files[one]
        case 4:
            return _with_two(data, one, files[other])
        case 5:
            stranger = chance.choice(others)
            theirs = unpacked(stranger) if stranger[:2] == b"PK" else {"": stranger}
            same = [part for name, part in theirs.items() if name.rpartition("/")[2] == one.rpartition("/")[2]]
            files[one] = chance.choice(same or list(theirs.values()))
        case _:
            return _lying(data, chance)
    return packed(files)


def _member(name: str, data: bytes, chance: random.Random, others: Files) -> bytes:
    if data and chance.random() < 0.15:
        return parts(data, chance, others)
    if name.endswith(".json"):
        return _json(data, chance)
    return _pickle(data, chance) if data[:1] == b"\x80" else damaged(data, chance)


def _with_two(data: bytes, name: str, contents: bytes) -> bytes:
    """The archive with a second file of the same name."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive, mock.patch("warnings.warn"):
        archive.writestr(name, contents)
    return buffer.getvalue()


def _lying(data: bytes, chance: random.Random) -> bytes:
    """The archive with another value in one field of one of its records."""
    changed = bytearray(data)
    places = [each.start() for each in re.finditer(rb"PK(\3\4|\1\2|\5\6)", data)]
    place, width = chance.choice(places) + chance.randrange(4, 40), chance.choice((2, 4))
    value = chance.choice((0, 1, 8, 0xFFFF, 0xFFFFFFFF, len(data), chance.randrange(len(data))))
    changed[place : place + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(changed[: len(data)])


def _json(text: bytes, chance: random.Random) -> bytes:
    value = json.loads(text)
    for _ in range(chance.choice(_TIMES)):
        places: dict[Any, list[tuple[Any, Any]]] = {}
        waiting = [value]
        while waiting:
            holder = waiting.pop()
            for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
                places.setdefault(key if isinstance(key, str) else 0, []).append((holder, key))
                waiting += [item] if isinstance(item, (dict, list)) else []
        alike = chance.choice(list(places.values()))
        holder, key = chance.choice(alike)
        match chance.randrange(5):
            case 0:
                holder[key] = copy.deepcopy(chance.choice(_VALUES))
            case 1:
                del holder[key]
            case 2:
                from_, there = chance.choice(alike)
                holder[key] = copy.deepcopy(from_[there])
            case _:
                holder[key] = _other_value(holder[key], [], chance)
    return json.dumps(value).encode()


def _pickle(data: bytes, chance: random.Random) -> bytes:
    """A pickle with an instruction left out, doubled or moved, or with another argument."""
    steps = list(pickletools.genops(data))
    begins = [place or 0 for _, _, place in steps]
    codes = [bytearray(data[begin:end]) for begin, end in zip(begins, [*begins[1:], len(data)], strict=True)]
    for _ in range(chance.choice(_TIMES)):
        one, other = chance.randrange(len(codes)), chance.randrange(len(codes))
        match chance.randrange(8):
            case 0 if len(codes) > 1:
                del codes[one]
            case 1:
                codes.insert(other, bytearray(codes[one]))
            case 2:
                codes[one], codes[other] = codes[other], codes[one]
            case 3:
                codes[one] = bytearray(codes[other])
            case 4 if len(codes[one]) in (2, 3, 5):  # numbers, mostly
                width = len(codes[one]) - 1
                codes[one][1:] = (chance.choice(_NUMBERS) & (1 << 8 * width) - 1).to_bytes(width, "little")
            case _:
                place = chance.randrange(len(codes[one]))
                codes[one][place] = chance.choice((0, 1, 255, codes[one][place] ^ 1, chance.randrange(256)))
    return b"".join(map(bytes, codes))
