"""Writing arrays by name into one ``.npz``, whatever their names; `edgekit.arrays` reads such files.

numpy.savez has parameters of its own, and `file` is one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np


def save(target: str | Path | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write *arrays* for ``numpy.load``; the same arrays give the same bytes.

    Args:
        arrays: By names that `edgekit.names.is_tensor_name` takes.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
