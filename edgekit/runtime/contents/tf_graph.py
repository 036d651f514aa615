"""Graphs of TensorFlow 1: frozen ones (``.pb``), and those of checkpoints (``.meta``), with operators by allow-list."""

from __future__ import annotations

import glob
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.runtime.contents import saved_model, tensor_bundle
from edgekit.runtime.contents.protobuf import Message, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, reading
from edgekit.runtime.contents.saved_model import (
    MOST_MESSAGES,
    SCHEMA,
    UNREACHED,
    check_node,
    check_size,
    functions_in,
    node_name,
    unreached,
)


@dataclass(frozen=True)
class Graph:
    """One of them.

    What of it is computed with depends on the tensors that are chosen as inputs and outputs: a graph that was trained
    holds its training, too, and reads and writes its checkpoints.
    """

    _message: Message

    def check(self, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Check what computing nodes from others runs.

        Raises:
            Refused: An operator that is not on the list.
        """
        definition = self._message["graph_def"]
        nodes = {node.get("name", ""): node for node in definition["node"]}
        functions = functions_in(definition)
        for function in functions.values():
            for node in function.get("node_def", ()):
                check_node(node, functions)
        given, seen, pending = set(inputs), set[str](), list(outputs)
        while pending:
            name = pending.pop()
            if name in given or name in seen or name not in nodes:
                continue
            seen.add(name)
            check_node(nodes[name], functions)
            op = nodes[name].get("op", "")
            if op in UNREACHED:
                raise unreached(op)
            pending += map(node_name, nodes[name].get("input", ()))


@reading("it is no TensorFlow graph")
def read(data: bytes | memoryview) -> Graph:
    """Read and check a frozen graph. Raises as `edgekit.runtime.contents.check`."""
    try:
        definition = decode(data, SCHEMA, "GraphDef", MOST_MESSAGES)
    except Malformed as error:
        if _is_saved_model(data):
            raise Malformed("it is the graph of a SavedModel: give the folder that it lies in") from error
        raise
    return _checked({"graph_def": definition})


@reading("it is no TensorFlow graph")
def read_meta(data: bytes | memoryview) -> Graph:
    """Read and check the graph of a checkpoint. Raises as `edgekit.runtime.contents.check`."""
    return _checked(decode(data, SCHEMA, "MetaGraphDef", MOST_MESSAGES))


def read_checkpoint(path: Path) -> Graph:
    """Read and check the graph of a checkpoint in the file ``NAME.meta``, and its variables in those beside it.

    Raises:
        Refused: One of them is no file of its own, or as `read_meta`.
        Malformed: Variables are missing, or outside of their file; or as `read_meta`.
    """
    found = read_meta(path.read_bytes())
    prefix = path.with_suffix("")
    index, *shards = variables(path) or [Path(f"{prefix}.index")]
    if not index.exists():
        raise Malformed(f"there is no {index.name} beside it, with the variables of its graph")
    for file in (index, *shards):
        if not stat.S_ISREG(file.lstat().st_mode):
            raise Refused(f"{file.name} beside it is a link, or no file", "leads to another place")
    sizes = {file.name.removeprefix(f"{prefix.name}."): file.stat().st_size for file in shards}
    tensor_bundle.check(index.read_bytes(), sizes)
    return found


def variables(path: Path) -> list[Path]:
    """The files with the variables of the graph in ``NAME.meta``, their index first."""
    name = glob.escape(path.stem)
    return [*path.parent.glob(f"{name}.index"), *sorted(path.parent.glob(f"{name}.data-*"))]


def _checked(graph: Message) -> Graph:
    if not graph.get("graph_def", {}).get("node"):
        raise Malformed("it holds no graph")
    check_size(graph)
    return Graph(graph)


def _is_saved_model(data: bytes | memoryview) -> bool:
    try:
        saved_model.read(data)
    except Refused:
        return True
    except Malformed:
        return False
    return True
