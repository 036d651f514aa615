"""adb's keys: RSA with 2048 bits; a host proves that it has one by signing 20 random bytes."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass

_BYTES = 256

#: PKCS #1 v1.5 for a SHA-1 digest, which the 20 bytes stand in for.
_PADDING = b"\0\1" + b"\xff" * 218 + b"\0" + bytes.fromhex("3021300906052b0e03021a05000414")


@dataclass(frozen=True)
class Key:
    modulus: int
    exponent: int


def read_key(text: bytes) -> Key:
    """The key of a file ``adbkey.pub``: ``BASE64 NAME``, words of 32 bits in little endian.

    They are: number of words, a constant, the modulus, another constant as long as that, the exponent.
    """
    raw = base64.b64decode(text.split(b" ")[0].rstrip(b"\0\n"))
    (words,) = struct.unpack_from("<I", raw)
    (exponent,) = struct.unpack_from("<I", raw, 8 + 8 * words)
    return Key(int.from_bytes(raw[8 : 8 + 4 * words], "little"), exponent)


def verify(key: Key, token: bytes, signature: bytes) -> bool:
    """Whether *signature* of *token* was made with the private half of *key*."""
    opened = pow(int.from_bytes(signature, "big"), key.exponent, key.modulus)
    return opened.to_bytes(_BYTES, "big") == _PADDING + token
