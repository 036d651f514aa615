"""Where in the user's model a node of an exported graph is from: operator, layer and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.fx import Node

_PACKAGE = str(Path(__file__).parents[2])
_MOST_CHARACTERS = 80


def operator(node: Node) -> str:
    """Its name without overload, as ``aten.conv2d``."""
    packet = getattr(node.target, "overloadpacket", node.target)
    name = getattr(packet, "_qualified_op_name", None)  # torch 2.13: ``aten::conv2d``
    return str(name).replace("::", ".") if name else str(getattr(packet, "__name__", packet)).partition(".")[0]


def shapes(node: Node) -> str:
    """What goes into it, as `` of [1, 3, 8, 8]``; empty where nothing does."""
    sizes = [list(each.meta["val"].shape) for each in node.all_input_nodes if hasattr(each.meta.get("val"), "shape")]
    return f" of {' and '.join(map(str, sizes))}" if sizes else ""


def layer(node: Node) -> str:
    """The path of the innermost layer that it is of, as ``features.0.conv``; empty for the model itself.

    In the user's model: modules of edgekit's own may be around it.
    """
    stack = (node.meta.get("nn_module_stack") or {}).values()
    paths = [str(path) for path, kind in stack if not str(kind).startswith("edgekit.")]
    return paths[-1].removeprefix(paths[0]).removeprefix(".") if paths else ""


def line(node: Node) -> str:
    """The innermost line outside of installed packages, as ``net.py:12: return a + b``; empty where none is known."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in \w+\n\s*(.+)', node.meta.get("stack_trace") or "")
    own = [each for each in frames if "site-packages" not in each[0] and not each[0].startswith(_PACKAGE)]
    if not own:
        return ""
    path, number, code = own[-1]
    return f"{path.rpartition('/')[2]}:{number}: {code.strip()[:_MOST_CHARACTERS]}"


def where(node: Node) -> str:
    """Layer and line in brackets, to stand behind what is said of *node*; empty where neither is known."""
    path = layer(node)
    known = [*([f"layer {path}"] if path else []), *filter(None, [line(node)])]
    return f" ({', '.join(known)})" if known else ""
