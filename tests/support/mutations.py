"""Damage and malice done to bundles: one changed bundle after another, from a seed."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgekit import archive
from edgekit.manifest import MANIFEST, seal

#: Names with which a file of a zip could end up elsewhere, or stand for another.
_TRICKS = (
    "../labels.txt", "/etc/passwd", "variants/../../x", "./labels.txt", "labels.txt/", "a//b", "C:x", "a\\..\\x", "",
    ".", "..", "manifest.json ", "MANIFEST.JSON", "labels\0.txt", "l\u0430bels.txt", "x" * 300,
)  # fmt: skip
_VALUES = (None, True, -1, 0, 1, 2**31, 2**63, 10**30, -1.5, 1e308, "", "x", "../x", [], {}, [[]], {"x": 1})

Files = dict[str, bytes]


class Mutator:
    """Changed versions of the bundle in *original*, a file that edgekit wrote."""

    def __init__(self, original: bytes, seed: int):
        self._original = original
        self._chance = random.Random(seed)
        with zipfile.ZipFile(io.BytesIO(original)) as stored:
            self._files = {info.filename: stored.read(info) for info in stored.infolist()}
        self._kinds: tuple[Callable[[], bytes], ...] = (
            self._flipped, self._overwritten, self._cut, self._lengthened, self._shortened, self._moved,
            self._file_changed, self._file_changed, self._files_swapped, self._file_renamed, self._file_added,
            self._file_missing, self._order_changed, self._rezipped, self._table_lies, self._table_lies,
            self._manifest_edited, self._manifest_edited, self._manifest_forged, self._manifest_replaced,
        )  # fmt: skip

    def bundles(self, count: int) -> Iterator[tuple[str, bytes]]:
        """What was done, and the file that came of it; never the original."""
        done = 0
        while done < count:
            kind = self._kinds[done % len(self._kinds)]
            changed = kind()
            if changed != self._original:
                done += 1
                yield kind.__name__, changed

    def folders(self, count: int) -> Iterator[Files]:
        """The files of a bundle that is a directory, with something changed in one of them, or one more or less."""
        for _ in range(count):
            files = dict(self._files)
            name = self._chance.choice(sorted(files))
            what = self._chance.randrange(4)
            if what == 0:
                del files[name]
            elif what == 1:
                files["variants/more"] = b""
            else:
                files[name] = self._damaged(files[name])
            if files != self._files:
                yield files

    # The file as a whole

    def _flipped(self) -> bytes:
        data = bytearray(self._original)
        for _ in range(self._chance.choice((1, 1, 1, 2, 8))):
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return bytes(data)

    def _overwritten(self) -> bytes:
        begin, end = self._span(len(self._original))
        filling = self._chance.choice(
            (bytes(end - begin), b"\xff" * (end - begin), self._chance.randbytes(end - begin))
        )
        return self._original[:begin] + filling + self._original[end:]

    def _cut(self) -> bytes:
        return self._original[: self._chance.randrange(len(self._original))]

    def _lengthened(self) -> bytes:
        more = self._chance.randbytes(self._chance.randrange(1, 200))
        comment = self._original[:-2] + struct.pack("<H", len(more)) + more  # a valid comment of the zip
        place = self._chance.randrange(len(self._original))
        return self._chance.choice(
            (self._original + more, more + self._original, comment, self._original * 2,
             self._original[:place] + more + self._original[place:])
        )  # fmt: skip

    def _shortened(self) -> bytes:
        begin, end = self._span(len(self._original))
        return self._original[:begin] + self._original[end:]

    def _moved(self) -> bytes:
        begin, end = self._span(len(self._original))
        rest = self._original[:begin] + self._original[end:]
        place = self._chance.randrange(len(rest))
        return rest[:place] + self._original[begin:end] + rest[place:]

    # The files in it; checksums and sizes of the zip are right

    def _file_changed(self) -> bytes:
        name = self._chance.choice([name for name in self._files if name.startswith("variants/")])
        return _archived({**self._files, name: self._damaged(self._files[name])})

    def _files_swapped(self) -> bytes:
        one, other = self._chance.sample([name for name in self._files if name != MANIFEST], 2)
        return _archived({**self._files, one: self._files[other], other: self._files[one]})

    def _file_renamed(self) -> bytes:
        old, new = self._chance.choice(sorted(self._files)), self._chance.choice(_TRICKS)
        return _archived({new if name == old else name: data for name, data in self._files.items()})

    def _file_added(self) -> bytes:
        return _archived({**self._files, self._chance.choice(_TRICKS): self._chance.randbytes(3)})

    def _file_missing(self) -> bytes:
        gone = self._chance.choice(sorted(self._files))
        return _archived({name: data for name, data in self._files.items() if name != gone})

    def _order_changed(self) -> bytes:
        names = self._chance.sample(sorted(self._files), len(self._files))
        return _archived({name: self._files[name] for name in names})

    def _rezipped(self) -> bytes:
        """As other programs write it: compressed, dated, with extra fields, streamed, with links, in zip64."""
        buffer = io.BytesIO()
        streamed = self._chance.random() < 0.3
        with zipfile.ZipFile(_Unseekable(buffer) if streamed else buffer, "w") as stored:
            for name, data in self._files.items():
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, self._chance.randrange(1, 59)))
                info.compress_type = self._chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
                info.external_attr = self._chance.choice((0o644, 0o755, 0o120777, 0o40755)) << 16
                info.extra = self._chance.choice((b"", struct.pack("<HH4s", 0x7075, 4, b"name")))
                with stored.open(info, "w", force_zip64=self._chance.random() < 0.3) as stream:
                    stream.write(data)
            stored.comment = self._chance.choice((b"", b"comment"))
        return buffer.getvalue()

    def _table_lies(self) -> bytes:
        """One field of one record of the zip, local or central or the last, has another value."""
        data = bytearray(self._original)
        starts = [place for mark in (b"PK\3\4", b"PK\1\2", b"PK\5\6") for place in _places(self._original, mark)]
        place = self._chance.choice(starts) + self._chance.randrange(4, 40)
        width = self._chance.choice((2, 4))
        value = self._chance.choice((0, 1, 8, 0xFFFF, 0xFFFFFFFF, len(data), self._chance.randrange(len(data))))
        data[place : place + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        return bytes(data)

    # The manifest

    def _manifest_edited(self) -> bytes:
        """By somebody who does not know that it is sealed."""
        value = json.loads(self._files[MANIFEST])
        parent, key = self._chance.choice(list(_spots(value)))
        parent[key] = copy.deepcopy(self._chance.choice(_VALUES))
        return self._with_manifest(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n")

    def _manifest_forged(self) -> bytes:
        """By somebody who seals it again, so that it disagrees with the files."""
        value = json.loads(self._files[MANIFEST])
        del value["sha256"]
        variant = self._chance.choice(value["variants"])
        other = self._chance.choice([name for name in value["files"] if name != variant["file"]])
        entry = value["files"][variant["file"]]
        what = self._chance.randrange(7)
        if what == 0:
            variant["file"] = other
        elif what == 1:
            variant["sha256"] = entry["sha256"] = value["files"][other]["sha256"]
        elif what == 2:
            variant["size_bytes"] = entry["size_bytes"] = self._chance.choice((0, -1, 10**15, entry["size_bytes"] + 1))
        elif what == 3:
            value["files"][self._chance.choice(_TRICKS)] = dict(entry)
        elif what == 4:
            del value["files"][variant["file"]]
        elif what == 5:
            value["variants"].append(dict(variant))
        else:
            value["signature"]["inputs"][0]["shape"] = [1, -1, 2**40]
        return self._with_manifest(seal(value))

    def _manifest_replaced(self) -> bytes:
        text = self._files[MANIFEST]
        return self._with_manifest(
            self._chance.choice(
                (
                    b"", b"{}", b"[]", b"null", b"NaN", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b" " + text,
                    text + b"\n", b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"),
                    json.dumps(text.decode()).encode(),
                    text.replace(b'"name": "small"', b'"name": "small", "name": "small"'), text.replace(b"  ", b"\t"),
                    b'{"schema_version": 1e999}', text.replace(b'"schema_version": 1', b'"schema_version": 1.0'),
                    text.replace(b'"schema_version": 1', b'"schema_version": 7'), self._damaged(text),
                )
            )
        )  # fmt: skip

    def _with_manifest(self, manifest: bytes) -> bytes:
        return _archived({**self._files, MANIFEST: manifest})

    def _damaged(self, data: bytes) -> bytes:
        begin, end = self._span(len(data))
        flipped = bytearray(data)
        flipped[begin] ^= 1 << self._chance.randrange(8)
        return self._chance.choice((bytes(flipped), data[:begin], data[:begin] + data[end:], data + b"\0", b""))

    def _span(self, length: int) -> tuple[int, int]:
        begin = self._chance.randrange(length)
        return begin, min(length, begin + self._chance.choice((1, 2, 4, 30, 1000)))


def write_folder(files: Files, folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class _Unseekable(io.RawIOBase):
    """A pipe, to which zip programs write sizes behind the contents (data descriptors)."""

    def __init__(self, target: io.BytesIO):
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._target.write(data)


def _archived(files: Files) -> bytes:
    buffer = io.BytesIO()
    archive.write(files, buffer)
    return buffer.getvalue()


def _places(data: bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in *value* with each of its keys."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _spots(item)
