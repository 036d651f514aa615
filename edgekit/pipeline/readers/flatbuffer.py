"""Flatbuffers as JSON, by ``flatc`` and the schemas of the executorch package, without importing that (and torch)."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def parse(flatbuffer: bytes, schema: str) -> dict[str, Any]:
    """*flatbuffer* as JSON, by the schema file of that path in the executorch package.

    Raises:
        ValueError: It does not fit the schema, or executorch is not installed.
    """
    package = find_spec("executorch")
    if package is None or not package.submodule_search_locations:
        raise ValueError("the executorch package is not installed")
    home = Path(next(iter(package.submodule_search_locations)))
    with tempfile.TemporaryDirectory() as directory:
        binary = Path(directory, "parsed.bin")
        binary.write_bytes(flatbuffer)
        command = [str(home / "data/bin/flatc"), "--json", "--strict-json", "--defaults-json", "--raw-binary"]
        run = subprocess.run(
            [*command, "-o", directory, str(home / schema), "--", str(binary)], capture_output=True, text=True
        )
        if run.returncode:
            raise ValueError(" ".join((run.stdout + run.stderr).split())[:200])
        text = binary.with_suffix(".json").read_text()
    # flatc writes infinity, the upper bound of a plain ReLU, in C's spelling.
    parsed: dict[str, Any] = json.loads(re.sub(r"(: -?)inf\b", r"\1Infinity", text))
    return parsed
