"""TorchScript archives (``torch.jit.save``): code with operators by allow-list, and pickles that name nothing else.

The code is TorchScript's own language, in the form of Python, which torch 2.13.0 compiles and interprets; no Python
runs. It may call any operator that torch has, some of which read and write files. What its names stand for is known for
certain after it is compiled, so that the compiled graph is asked as well, before it runs (`check_operator`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.runtime.contents import pickles, zips
from edgekit.runtime.contents.allowed import ATEN, QUANTIZED, SCRIPT, TORCHSCRIPT
from edgekit.runtime.contents.ptl import allows, tensors_in
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.torch_tensors import Tensor
from edgekit.runtime.contents.zips import Packed

_CODE = re.compile(r"code/__torch__(\.py|(/\w+)*\.py)")
_READ = re.compile(r"version|byteorder|\.data/(version|serialization_id)|(data|constants)\.pkl|(data|constants)/[\w.]+")
#: What is for debugging, for phones, or beside the model: left out of what torch sees.
_LEFT_OUT = re.compile(
    r"code/.*\.debug_pkl|traced_inputs.*|bytecode\.pkl|mobile_debug_handles\.pkl|extra/.*|[\w/.]+\.debug_pkl|"
    r"\.format_version|\.storage_alignment"
)
_DOES = "runs what may read or write files and memory"


@dataclass(frozen=True)
class TorchScript(Packed):
    """One archive.

    Attributes:
        operators: Those that its code names, as ``aten::add``.
        weights, constants: Its tensors.
    """

    operators: frozenset[str]
    weights: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]


@reading("it is no TorchScript archive")
def read(data: bytes | memoryview) -> TorchScript:
    """Read and check an archive that ``torch.jit.save`` wrote. Raises as `edgekit.runtime.contents.check`."""
    files = zips.within_folder(zips.unpack(data, _reads, lambda name: name.endswith(".py")))
    sources = [contents for name, contents in files.items() if _CODE.fullmatch(name)]
    if "data.pkl" not in files or not sources or files.get("byteorder", b"little") != b"little":
        raise Malformed("it is no TorchScript archive: it holds no code")
    modules = pickles.load(files["data.pkl"], allows)
    constants = pickles.load(files["constants.pkl"], allows) if "constants.pkl" in files else ()
    operators = frozenset(name for source in sources for name in _operators(source))
    for name in sorted(operators):
        check_operator(name)
    kept = {f"archive/{name}": contents for name, contents in files.items()}
    return TorchScript(
        kept,
        operators,
        tuple(tensors_in(modules, "data/", files)),
        tuple(tensors_in(constants, "constants/", files)),
    )


def check_operator(name: str) -> None:
    """Raise `Refused` unless TorchScript may hold the operator *name*, as ``aten::add``."""
    space, _, short = name.partition("::")
    plain = short[:-1] if short.endswith("_") and not short.endswith("__") else short
    in_space = {"aten": short in ATEN or plain in ATEN, "quantized": short in QUANTIZED}.get(space, False)
    if not in_space and name not in SCRIPT and name not in TORCHSCRIPT:
        raise Refused(f"it holds the operator {shown(name)}", _DOES)


def _reads(name: str) -> bool:
    inner = name.partition("/")[2]
    if _LEFT_OUT.fullmatch(inner):
        return False
    if not (_READ.fullmatch(inner) or _CODE.fullmatch(inner)):
        raise Refused(f"it holds the file {shown(name)}", "hands it to TorchScript's loader")
    return True


def _operators(source: bytes) -> Iterator[str]:
    """The operators that code names: ``torch.add`` is ``aten::add``, and ``ops.prim.data`` is ``prim::data``."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, MemoryError) as error:
        raise Malformed("its code is damaged") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__setstate__":
            raise Refused("its code has a __setstate__", "runs when the file is loaded")
        if not isinstance(node, ast.Attribute):
            continue
        path = _path(node)
        if path[0] == "torch" and len(path) == 2:
            yield f"aten::{path[1]}"
        elif path[0] == "ops" and len(path) == 3:
            yield f"{path[1]}::{path[2]}"
        elif path[:3] == ["__torch__", "torch", "classes"]:
            raise Refused(f"it names the class {shown('.'.join(path[3:]))}", "calls code that is not TorchScript")


def _path(node: ast.expr) -> list[str]:
    """``a.b.c`` as its parts; the first is empty where it is of something else than a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return parts[::-1]
