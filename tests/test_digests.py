"""SHA-256 with OpenSSL and without: the same, and without it where little is hashed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit import digests

SIZES = (0, 1, 63, 64, 1 << 20, (1 << 20) + 1, (16 << 20) + 5)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_sha256(tmp_path: Path, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert (
        digests.sha256(data) == digests.sha256(memoryview(data)) == digests.file_sha256(tmp_path / "file") == expected
    )
    digest = digests.new()
    for begin in range(0, size, 1 << 19):
        digest.update(data[begin : begin + (1 << 19)])
    assert digest.hexdigest() == expected == digest.digest().hex()


_PROGRAM = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # as where Python was built without it
from edgekit import digests
print(digests.sha256(b"x" * int(sys.argv[1])), "_hashlib" in sys.modules)
"""


@pytest.mark.parametrize(
    ("size", "missing", "brings_openssl"),
    [(100, (), False), (100, ("_sha2", "_sha256"), True), (16 << 20, (), True)],
)
def test_openssl_where_much_is_hashed_or_there_is_nothing_else(
    size: int, missing: tuple[str, ...], brings_openssl: bool
) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(size), *missing]
    digest, brought = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert digest == hashlib.sha256(b"x" * size).hexdigest()
    assert brought == str(brings_openssl)
