"""``.pt2``: an exported program as JSON, with operators by allow-list, and tensors as raw bytes.

``torch.export.load`` of torch 2.13.0 unpickles weights, constants and sample inputs that are marked so (and whole files
that are no archive), loads shared libraries, evaluates the text of sizes and of guards, imports what the tree of an
output names, calls whatever a node names below ``torch``, ``math`` or ``operator``, and writes Python with the names of
values in it. A program needs none of that.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents import zips
from edgekit.runtime.contents.allowed import ATEN, PT2_CONTROL, PT2_FIELDS, PT2_QUANTIZED, PT2_SIZES, PT2_TREES
from edgekit.runtime.contents.refusal import Malformed, Refused, parse_json, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES
from edgekit.runtime.contents.zips import Packed

_PROGRAM, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = {
    "weights": "data/weights/model_weights_config.json",
    "constants": "data/constants/model_constants_config.json",
}
_TENSORS = re.compile(r"data/weights/weight_\d+|data/constants/tensor_\d+")
_OTHERS = frozenset({".data/version", ".data/serialization_id", "archive_format", "archive_version", "byteorder"})

#: ``ScalarType`` in ``torch/_export/serde/schema.py``: numpy's name and bytes of one value.
DTYPES = {
    1: ("uint8", 1), 2: ("int8", 1), 3: ("int16", 2), 4: ("int32", 4), 5: ("int64", 8), 6: ("float16", 2),
    7: ("float32", 4), 8: ("float64", 8), 10: ("complex64", 8), 11: ("complex128", 16), 12: ("bool", 1),
    13: ("bfloat16", 2), 28: ("uint16", 2),
}  # fmt: skip

_WORD = re.compile(r"[A-Za-z_]\w{0,399}", re.ASCII)
#: Names of weights and modules: anything but quotes, backslashes and what does not print.
_PATH = re.compile(r"[\w.:/ +@-]{0,800}")
_KEY = re.compile(r"[^\"'\\\x00-\x1f\x7f]{0,200}")
_OPERATOR = re.compile(r"torch\.ops\.(aten|quantized_decomposed|higher_order)\.(\w+)(?:\.(\w+))?", re.ASCII)
#: Sizes that depend on others, as sympy writes them: numbers, symbols and a few functions, none of which grows fast.
_SIZE = re.compile(
    r"(?:Symbol\('[suz]\d{1,6}'(?:, (?:positive|nonnegative|integer|real)=True)*\)|Integer\(-?\d{1,9}\)"
    r"|Add|Mul|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|Max|Min|[(), ])+",
    re.ASCII,
)
_MAX_SIZE = 1000

_FIELDS = {field: kind for kind, fields in PT2_FIELDS.items() for field in fields}


@dataclass(frozen=True)
class Pt2(Packed):
    """One program with its tensors.

    Attributes:
        program: ``models/model.json``, without what is there to debug it.
        tensors: What the archive says of each weight and constant, by name: ``path_name`` and ``tensor_meta``.
        fixed: Whether all of its shapes are.
    """

    program: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Any]]
    fixed: bool

    @property
    def nodes(self) -> list[Mapping[str, Any]]:
        nodes: list[Mapping[str, Any]] = self.program["graph_module"]["graph"]["nodes"]
        return nodes

    @property
    def operators(self) -> tuple[str, ...]:
        """What its nodes call, in order: ``torch.ops.aten.add.Tensor`` and the like."""
        return tuple(node["target"] for node in self.nodes)


@reading("it is no exported program")
def read(data: bytes | memoryview) -> Pt2:
    """Read and check an archive that ``torch.export.save`` wrote. Raises as `edgekit.runtime.contents.check`."""
    files = zips.within_folder(zips.unpack(data, _reads))
    missing = {_PROGRAM, *_CONFIGS.values()} - files.keys()
    if missing:
        raise Malformed(f"it is no exported program: it has no {sorted(missing)[0]}")
    program, *configs = (parse_json(files[name], "program") for name in (_PROGRAM, *_CONFIGS.values()))
    tensors = {name: told for config in configs for name, told in config["config"].items()}
    _check_program(program)
    for name, told in tensors.items():
        _check_tensor(name, told, files)
    kept = {name: contents for name, contents in files.items() if name in _OTHERS or _TENSORS.fullmatch(name)}
    kept |= {_SAMPLES: b"", _PROGRAM: json.dumps(program).encode()}
    kept |= {name: json.dumps(config).encode() for name, config in zip(_CONFIGS.values(), configs, strict=True)}
    kept = {f"archive/{name}": contents for name, contents in kept.items()}
    return Pt2(kept, program, tensors, not program["range_constraints"])


def _reads(name: str) -> bool:
    inner = name.partition("/")[2]
    if inner == _SAMPLES:  # pickled inputs, which nobody needs
        return False
    if inner not in _OTHERS and inner not in (_PROGRAM, *_CONFIGS.values()) and not _TENSORS.fullmatch(inner):
        if inner == "data.pkl":
            what = "it was written by torch.save(), not by torch.export.save()"
            raise Refused(what, "is unpickled, which runs code", "write it with torch.export.save()")
        raise Refused(f"it holds {shown(name)}, which no program of tensors needs", "is taken for what it is called")
    return True


def _check_program(program: dict[str, Any]) -> None:
    """Check the whole program, and take out of it what is there to debug it."""
    graph_module = program["graph_module"]
    nodes = graph_module["graph"]["nodes"]
    if not isinstance(nodes, list) or not all(isinstance(node, dict) and "target" in node for node in nodes):
        raise Malformed("it is no exported program: it has no nodes, or one that calls nothing")
    program["guards_code"], graph_module["metadata"] = [], {}
    if graph_module.get("treespec_namedtuple_fields"):
        raise Refused("its inputs or outputs are of a class of their own", "imports that class")
    if not all(_WORD.fullmatch(str(name)) for name in program.get("verifiers", ())):
        raise Malformed("it is no exported program: verifiers")
    rest = {key: value for key, value in program.items() if key not in ("guards_code", "verifiers")}
    rest["graph_module"] = {
        key: value for key, value in graph_module.items() if key not in ("metadata", "treespec_namedtuple_fields")
    }
    _check(rest)


def _check(value: Any) -> None:
    """Refuse whatever in *value* would be executed rather than read; no other fields are known."""
    if isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_field(key, item, value)
    elif not isinstance(value, (bool, int, float, str, type(None))):
        raise Malformed("it is no exported program")


def _check_field(key: str, item: Any, owner: dict[str, Any]) -> None:
    kind = _FIELDS.get(key)
    if kind == "plain":
        _check_plain(item)
    elif kind == "nested":
        _check(item)
    elif kind == "by_name":
        for name, each in item.items():
            _require(_WORD, name, key)
            _check(each)
    elif kind == "words":
        if item is not None and item != "":
            _require(_WORD, item, key)
    elif kind == "paths":
        _require(_PATH, item, key)
    elif key == "target":
        _check_target(item)
    elif key == "expr_str":
        if not isinstance(item, str) or len(item) > _MAX_SIZE or not _SIZE.fullmatch(item):
            raise Refused(f"its size {shown(item)} is code and not data", "is evaluated")
    elif key in ("in_spec", "out_spec"):
        _check_tree(parse_json(item, "program"))
    elif key == "forward_arg_names":
        for name in item or ():
            _require(_WORD, name, key)
    elif key == "metadata":
        owner[key] = {}
    elif key == "custom_obj_values" and not item:
        pass
    else:
        raise Refused(f"it holds {shown(key)}, which is code and not data", "is made or called by torch")


def _check_plain(item: Any) -> None:
    if isinstance(item, dict):
        for each in item.values():
            _check_plain(each)
    elif isinstance(item, list):
        for each in item:
            _check_plain(each)


def _require(pattern: re.Pattern[str], item: Any, field: str) -> None:
    if not isinstance(item, str) or not pattern.fullmatch(item):
        raise Refused(f"its {field} {shown(item)} is no name", "becomes part of a program")


def _check_target(target: Any) -> None:
    found = _OPERATOR.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        if target not in PT2_SIZES:
            raise Refused(f"it calls {shown(target)}, which is no ATen operator", "calls it when it is run")
        return
    space, name, overload = found.groups()
    plain = name[:-1] if name.endswith("_") else name
    allowed = {
        "aten": (name in ATEN or plain in ATEN) and overload is not None and "out" not in overload.split("_"),
        "quantized_decomposed": name in PT2_QUANTIZED and overload is not None,
        "higher_order": name in PT2_CONTROL,
    }
    if not allowed[space]:
        raise Refused(f"it calls {shown(target)}, which is not on the list", "may read or write files and memory")


def _check_tree(spec: Any) -> None:
    """Check how inputs or outputs nest (``torch/utils/_pytree.py``, protocol 1): in plain containers."""
    protocol, root = spec
    if protocol != 1:
        raise Malformed(f"its inputs or outputs nest in protocol {shown(protocol)}")
    pending = [root]
    while pending:
        node = pending.pop()
        kind, context = node["type"], node["context"]
        if kind is not None and kind not in PT2_TREES:
            raise Refused(f"its inputs or outputs are in a {shown(kind)}", "imports what the file names")
        keys = parse_json(context, "program") if isinstance(context, str) else context
        if keys is not None and not (
            isinstance(keys, list) and all(type(key) is int or isinstance(key, str) for key in keys)
        ):
            raise Refused(f"its inputs or outputs have the context {shown(context)}", "imports what the file names")
        for key in keys or ():
            if isinstance(key, str):
                _require(_KEY, key, "key")
        pending += node["children_spec"]


def _check_tensor(name: str, told: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    _require(_PATH, name, "weight")
    if told["use_pickle"]:
        raise Refused("it holds pickled weights", "runs code when they are read")
    _check(dict(told))
    meta, stored = told["tensor_meta"], None
    for folder in ("data/weights/", "data/constants/"):
        stored = files.get(folder + told["path_name"], stored)
    numbers = [size["as_int"] for size in (*meta["sizes"], *meta["strides"], meta["storage_offset"])]
    count = len(meta["sizes"])
    if not all(type(number) is int and number >= 0 for number in numbers) or len(numbers) != 2 * count + 1:
        raise Malformed(f"the weight {shown(name)} has no shape that there is")
    shape, steps, offset = numbers[:count], numbers[count:-1], numbers[-1]
    if meta["dtype"] not in DTYPES or count > MAX_AXES or math.prod(shape) > MAX_VALUES // 16:
        raise Malformed(f"the weight {shown(name)} has no type or shape that there is")
    last = offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
    if stored is None or (0 not in shape and (last + 1) * DTYPES[meta["dtype"]][1] > len(stored)):
        raise Malformed(f"the weight {shown(name)} is not in the file")
