"""Fields of a protobuf message, without its schema (https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

from collections import defaultdict

#: Bytes of the wire types of fixed size.
_FIXED = {1: 8, 5: 4}


def fields(message: bytes) -> dict[int, list[bytes]]:
    """What *message* holds by field number, in order: contents of strings, bytes and messages, else the raw bytes.

    Raises:
        ValueError: It is cut short, or no message.
    """
    found: dict[int, list[bytes]] = defaultdict(list)
    place = 0
    while place < len(message):
        begin, place = place, _after_number(message, place)
        key = number(message[begin:place])
        if key & 7 == 0:
            end = _after_number(message, place)
        elif key & 7 == 2:
            begin, place = place, _after_number(message, place)
            end = place + number(message[begin:place])
        elif key & 7 in _FIXED:
            end = place + _FIXED[key & 7]
        else:
            raise ValueError(f"wire type {key & 7}")
        if end > len(message):
            raise ValueError("the message is cut short")
        found[key >> 3].append(message[place:end])
        place = end
    return found


def number(varint: bytes) -> int:
    """The whole number, not below 0, that *varint* stands for."""
    return sum((byte & 0x7F) << 7 * index for index, byte in enumerate(varint))


def _after_number(message: bytes, place: int) -> int:
    """Where the number that begins at *place* ends."""
    while place < len(message):
        place += 1
        if message[place - 1] < 0x80:
            return place
    raise ValueError("the message is cut short")
