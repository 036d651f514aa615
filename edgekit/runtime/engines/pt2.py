"""``.pt2`` archives, read as data, and refused where torch would do more with them than read data.

``torch.export.load`` of torch 2.13.0 unpickles weights, constants and sample inputs that are marked so, loads shared
libraries from ``data/aotinductor``, evaluates the text of symbolic shapes, and calls whatever a node names below
``torch``, ``math`` or ``operator``. A bundle's hashes say that a file is the one that was packed, not who packed it.
A float program of fixed shapes needs none of that: tensors as raw bytes, and calls of ATen operators.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ENTRIES = re.compile(
    r"\.data/(version|serialization_id)|archive_(format|version)|byteorder|models/model\.json"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt"
)
_SAMPLES = "data/sample_inputs/model.pt"
_CONFIGS = ("weights", "constants")
#: ``from_file`` is the one ATen operator that opens files.
_TARGET = re.compile(r"torch\.ops\.aten\.(?!from_file\b)\w+\.\w+|_operator\.getitem")
#: Keys of ``torch/_export/serde/schema.py`` whose values are evaluated, imported or unpickled.
_EXECUTED = frozenset({"as_expr", "expr_str", "as_custom_obj", "as_operator"})


@dataclass(frozen=True)
class Pt2:
    """One program with its tensors.

    Attributes:
        program: ``models/model.json``.
        tensors: What the archive says of each weight and constant, by name: ``path_name`` and ``tensor_meta``.
        data: The same program as an archive that holds what was checked and nothing else.
    """

    program: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Any]]
    data: bytes

    @property
    def nodes(self) -> list[Mapping[str, Any]]:
        nodes: list[Mapping[str, Any]] = self.program["graph_module"]["graph"]["nodes"]
        return nodes


def read_pt2(data: bytes) -> Pt2:
    """Read and check an archive that `torch.export.save` wrote.

    Raises:
        ValueError: It is none, or holds what a float program of fixed shapes does not need.
    """
    try:
        entries = dict(_entries(zipfile.ZipFile(io.BytesIO(data))))
        program = json.loads(entries["models/model.json"])
        tensors = {}
        for kind in _CONFIGS:
            tensors.update(json.loads(entries[f"data/{kind}/model_{kind}_config.json"])["config"])
        graph_is_whole = isinstance(program["graph_module"]["graph"]["nodes"], list)
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, EOFError, NotImplementedError) as error:
        raise ValueError(f"no exported program: {error}") from error
    if not graph_is_whole or program.get("range_constraints") or program.get("guards_code"):
        raise ValueError("the program's shapes are not fixed")
    if entries.get(_SAMPLES) or any(tensor["use_pickle"] for tensor in tensors.values()):
        raise ValueError("the file holds pickled objects, which run code when they are read")
    _check(program)
    return Pt2(program, tensors, _archive(entries))


def _entries(archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """The files of *archive* by name below its folder."""
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        if not _ENTRIES.fullmatch(name):
            raise ValueError(f"the file holds {info.filename[:80]!r}, which no float program needs")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError("the file is compressed")
        yield name, archive.read(info)


def _check(value: Any) -> None:
    """Refuse whatever in the program would be executed rather than read."""
    if isinstance(value, Mapping):
        executed = _EXECUTED & value.keys()
        if executed:
            raise ValueError(f"the program holds {sorted(executed)[0]!r}, which is code and not data")
        if "target" in value and not _TARGET.fullmatch(str(value["target"])):
            raise ValueError(f"the program calls {str(value['target'])[:80]}, which is no ATen operator")
        for item in value.values():
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, str) and "__enum__" in value:  # a class to import, in the text of a tree specification
        raise ValueError("the program names a class to import")


def _archive(entries: Mapping[str, bytes]) -> bytes:
    """*entries* as a new archive: torch reads zip files with code of its own, and has to see what was checked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, contents in entries.items():
            archive.writestr(f"archive/{name}", contents)
    return buffer.getvalue()
