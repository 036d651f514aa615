"""Damaged and forged ``.ncnn`` files, one for each seed: other numbers, layers, blobs and weights in honest ones."""

from __future__ import annotations

import random

from edgekit.runtime.contents.ncnn import BIN, LAYERS, PARAM
from edgekit.runtime.contents.zips import pack, unpack

_NUMBERS = (
    "0", "1", "2", "3", "4", "5", "7", "8", "15", "16", "17", "31", "32", "64", "100", "127", "255", "256", "1000",
    "4096", "65536", "16777216", "2147483647", "-1", "-2", "-3", "-233", "-234", "-127", "0.5", "1e9", "9999999999",
    "nan", '"0w"',
)  # fmt: skip
_KEYS = (*range(22), -23300, -23303, -23309)
#: What may stand before weights: types that are known and that are not.
_MARKS = (b"\0\0\0\0", b"\x47\x6b\x30\x01", b"\x38\x4b\x0d\0", b"\x56\xc0\x02\0", b"\x01\0\0\0", b"\xff\xff\x7f\x7f")


def mutant(data: bytes, seed: int) -> bytes:
    """Another file than *data*, whose text and weights are no longer of one model."""
    chance = random.Random(f"ncnn {seed}")
    if chance.random() < 0.05:
        place = chance.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
    files = unpack(data)
    lines, weights = files[PARAM].decode().splitlines(), files[BIN]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(2, len(lines))
        words = lines[place].split()
        match chance.choices(("number", "type", "blob", "order", "gap", "count", "weights"), (45, 15, 15, 5, 5, 5, 10))[
            0
        ]:
            case "number":
                _change_number(words, chance)
            case "type":
                words[0] = chance.choice((*sorted(LAYERS), "../x", "Custom"))
            case "blob":
                other = chance.choice(files[PARAM].decode().splitlines()[2:]).split()
                if int(other[2]) + int(other[3]) and len(words) > 4:
                    words[4] = other[4 + chance.randrange(int(other[2]) + int(other[3]))]
            case "order":
                other_place = chance.randrange(2, len(lines))
                lines[place], lines[other_place] = lines[other_place], lines[place]
                continue
            case "gap" if len(lines) > 3:
                lines.pop(place)
                continue
            case "count":
                words[chance.choice((2, 3))] = chance.choice(_NUMBERS)
            case "weights":
                weights = _changed(weights, chance)
        lines[place] = " ".join(words)
    if chance.random() < 0.95:  # honest counts, so that what follows is looked at
        lines[1] = f"{len(lines) - 2} {len(_blobs(lines[2:]))}"
    return pack({PARAM: "".join(f"{line}\n" for line in lines).encode(), BIN: weights})


def _change_number(words: list[str], chance: random.Random) -> None:
    places = [place for place, word in enumerate(words) if "=" in word]
    if not places:
        words.append(f"{chance.choice(_KEYS)}={chance.choice(_NUMBERS)}")
        return
    place = chance.choice(places)
    key, _, text = words[place].partition("=")
    values = text.split(",")
    which = chance.randrange(len(values))
    if values[which].lstrip("-").isdigit() and chance.random() < 0.5:
        values[which] = str(int(values[which]) + chance.choice((-1, 1, -2, 2, 16)))
    else:
        values[which] = chance.choice(_NUMBERS)
    key = str(chance.choice(_KEYS)) if chance.random() < 0.2 else key
    words[place : place + 1] = [] if chance.random() < 0.1 else [f"{key}={','.join(values)}"]


def _changed(weights: bytes, chance: random.Random) -> bytes:
    if len(weights) < 8 or chance.random() < 0.5:
        return weights[: chance.randrange(len(weights) + 1)] + b"1234" * chance.randrange(2)
    place = chance.randrange(0, len(weights) - 4, 4)
    return weights[:place] + chance.choice(_MARKS) + weights[place + 4 :]


def _blobs(lines: list[str]) -> set[str]:
    found: set[str] = set()
    for line in lines:
        words = line.split()
        counts = [int(word) if word.isdigit() else 0 for word in words[2:4]]
        found.update(words[4 : 4 + min(sum(counts), len(words))])
    return found
