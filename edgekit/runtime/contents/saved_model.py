"""SavedModel folders: graphs with operators by allow-list, and variables that are where their index says.

TensorFlow runs any of its operators, some of which read or write files or call Python, when a function is called, and
some graphs when a folder is loaded. Every SavedModel holds functions that write and read checkpoints; what is called
for outputs, or on loading, may not reach them.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.runtime.contents import tensor_bundle
from edgekit.runtime.contents.allowed import (
    SAVED_MODEL,
    SAVED_MODEL_READS,
    SAVED_MODEL_TRAINING,
    SAVED_MODEL_WRITES,
)
from edgekit.runtime.contents.protobuf import Message, Schema, decode
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_MEMORY_BYTES

SCHEMA = Schema.of("saved_model")

FILE = "saved_model.pb"
#: Other forms of that file, which TensorFlow would read in its place.
_OTHER_FORMS = ("saved_model.cpb", "saved_model.pbtxt")
_VARIABLES = "variables/variables"
_MAX_BYTES = 2 << 30  # protobuf's own limit
MOST_MESSAGES = 1 << 21
#: Where graphs of TensorFlow 1 and 2 name what is run on loading.
_ON_LOADING = ("legacy_init_op", "main_op", "saved_model_main_op")
#: What TensorFlow 2 writes to be called on loading.
INIT = "__saved_model_init_op"
#: What a graph may hold that its outputs may not need.
UNREACHED = SAVED_MODEL_READS | SAVED_MODEL_WRITES | SAVED_MODEL_TRAINING
#: Where ``PrintV2`` prints to, other than into files.
_STREAMS = (b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)")


@dataclass(frozen=True)
class SavedModel:
    """What ``saved_model.pb`` holds.

    Attributes:
        operators: The operators of all its graphs and functions, in order.
        signatures: Names of its signatures.
    """

    operators: tuple[str, ...]
    signatures: tuple[str, ...]


def check_folder(folder: Path) -> SavedModel:
    """Read and check the SavedModel in *folder*.

    Raises:
        Refused: It holds an operator that is not on the list, lookup tables or assets, or reaches for other files.
        Malformed: It is none, or damaged.
        OSError: It cannot be read.
    """
    for name in _OTHER_FORMS:
        if (folder / name).exists():
            raise Refused(f"it holds {name}", "is read in the place of saved_model.pb")
    for path in (folder / FILE, *folder.glob(f"{_VARIABLES}.*")):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Refused(f"its {path.name} is a link, or no file", "leads to another place")
    if (folder / FILE).stat().st_size > _MAX_BYTES:
        raise Malformed("its saved_model.pb is larger than 2 GiB")
    found = read((folder / FILE).read_bytes())
    index = folder / f"{_VARIABLES}.index"
    if index.exists():
        shards = sorted(folder.glob(f"{_VARIABLES}.data-*"))
        tensor_bundle.check(index.read_bytes(), {path.name.partition(".")[2]: path.stat().st_size for path in shards})
    return found


def signatures(folder: Path) -> tuple[str, ...]:
    """Names of the signatures of the SavedModel in *folder*, but TensorFlow's own. Raises as `read`."""
    return tuple(name for name in read((folder / FILE).read_bytes()).signatures if name != INIT)


@reading("it is no SavedModel")
def read(data: bytes | memoryview) -> SavedModel:
    """Read and check a ``saved_model.pb``. Raises as `edgekit.runtime.contents.check`."""
    model = decode(data, SCHEMA, "SavedModel", MOST_MESSAGES)
    if not model.get("meta_graphs"):
        raise Malformed("it holds no graph")
    for graph in model["meta_graphs"]:
        _check_graph(graph)
    names = tuple(node.get("op", "") for graph in model["meta_graphs"] for node in _all_nodes(graph))
    signatures = (entry.get("key", "") for graph in model["meta_graphs"] for entry in graph.get("signature_def", ()))
    return SavedModel(names, tuple(signatures))


def _all_nodes(graph: Message) -> Iterator[Message]:
    definition = graph.get("graph_def", {})
    yield from definition.get("node", ())
    for function in definition.get("library", {}).get("function", ()):
        yield from function.get("node_def", ())


def functions_in(definition: Message) -> dict[str, Message]:
    """The functions of a ``GraphDef`` by name."""
    return {
        function.get("signature", {}).get("name", ""): function
        for function in definition.get("library", {}).get("function", ())
    }


def _check_graph(graph: Message) -> None:
    definition = graph.get("graph_def", {})
    functions = functions_in(definition)
    for saved in graph.get("object_graph_def", {}).get("nodes", ()):
        if "asset" in saved or "resource" in saved:
            raise Refused("it holds lookup tables or assets", "reads files, and runs functions when it is loaded")
    if graph.get("asset_file_def"):
        raise Refused("it holds assets", "reads files")
    for node in _all_nodes(graph):
        check_node(node, functions)
    check_size(graph)
    _check_reach(graph, _Reach(definition.get("node", ()), functions))


def check_size(graph: Message) -> None:
    """Raise `Malformed` where the constants of a ``MetaGraphDef`` fit into no memory."""
    size = sum(_tensor_bytes(tensor) for node in _all_nodes(graph) for tensor in _tensors(node))
    if size > MAX_MEMORY_BYTES:
        raise Malformed(f"its constants would take {size >> 20:,} MB")


def check_node(node: Message, functions: Mapping[str, Message]) -> None:
    """Raise `Refused` unless a node calls an operator of the list, or one of *functions*."""
    name = node.get("op", "")
    if name in functions or name in UNREACHED:
        return
    if name not in SAVED_MODEL:
        raise Refused(f"it holds the operator {shown(name)}", _what(name))
    if name == "PrintV2" and _attribute(node, "output_stream").get("s", b"stderr") not in _STREAMS:
        raise Refused("it holds a PrintV2 into a file", "writes a file")


def _what(name: str) -> str:
    """What an operator would do, as far as its name tells."""
    words = {"PyFunc": "calls Python", "Write": "writes files", "Save": "writes files", "Read": "reads files"}
    words |= {"Restore": "reads files", "Table": "reads files", "Load": "reads files", "File": "reads or writes files"}
    return next((does for word, does in words.items() if word in name), "runs what is not known to compute only")


def _attribute(node: Message, key: str) -> Message:
    return next((entry.get("value", {}) for entry in node.get("attr", ()) if entry.get("key") == key), {})


def _tensors(node: Message) -> Iterator[Message]:
    for entry in node.get("attr", ()):
        value = entry.get("value", {})
        yield from (value["tensor"],) if "tensor" in value else value.get("list", {}).get("tensor", ())


def _tensor_bytes(tensor: Message) -> int:
    """About what a constant takes in memory: one value may stand for all."""
    shape = [dim.get("size", 0) for dim in tensor.get("tensor_shape", {}).get("dim", ())]
    if len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise Malformed("a constant of it has no shape that there is")
    return 4 * math.prod(shape)


class _Reach:
    """What a call of some nodes of a graph runs."""

    def __init__(self, nodes: Iterable[Message], functions: Mapping[str, Message]):
        self._nodes = {node.get("name", ""): node for node in nodes}
        self._functions = functions

    def operators(self, nodes: Iterable[str], functions: Iterable[str] = ()) -> set[str]:
        """Names of all operators that run for *nodes* of the graph and for *functions*."""
        found: set[str] = set()
        pending = [self._nodes[name] for name in map(node_name, nodes) if name in self._nodes]
        calls = list(functions)
        seen_nodes = {id(node) for node in pending}
        seen_calls: set[str] = set()
        while pending or calls:
            if calls:
                name = calls.pop()
                if name in self._functions and name not in seen_calls:
                    seen_calls.add(name)
                    for node in self._functions[name].get("node_def", ()):
                        found.add(node.get("op", ""))
                        calls += _called(node)
                continue
            node = pending.pop()
            found.add(node.get("op", ""))
            calls += _called(node)
            for name in map(node_name, node.get("input", ())):
                source = self._nodes.get(name)
                if source is not None and id(source) not in seen_nodes:
                    seen_nodes.add(id(source))
                    pending.append(source)
        return found


def _called(node: Message) -> list[str]:
    """Functions that a node may call: by its own name, or by its attributes."""
    values = [entry.get("value", {}) for entry in node.get("attr", ())]
    named = [value["func"] for value in values if "func" in value]
    named += [each for value in values for each in value.get("list", {}).get("func", ())]
    return [node.get("op", ""), *(each.get("name", "") for each in named)]


def node_name(name: str) -> str:
    """``scope/node`` of ``^scope/node`` or ``scope/node:0``."""
    return name.lstrip("^").partition(":")[0]


def _check_reach(graph: Message, reach: _Reach) -> None:
    saver = graph.get("saver_def", {})
    objects = graph.get("object_graph_def", {})
    outputs = reach.operators(_outputs(graph))
    if trained := outputs & SAVED_MODEL_TRAINING:
        raise unreached(min(trained))
    live = outputs | reach.operators((), _functions_of(objects))
    restoring = reach.operators([saver.get("restore_op_name", "")])
    written = (live | restoring) & SAVED_MODEL_WRITES
    if written or live & SAVED_MODEL_READS:
        raise unreached(min(written or live & SAVED_MODEL_READS))


def unreached(name: str) -> Refused:
    """The error for an operator of `UNREACHED` that is run all the same."""
    does = "writes files" if name in SAVED_MODEL_WRITES else "reads files"
    does = "trains the model" if name in SAVED_MODEL_TRAINING else does
    return Refused(f"its outputs, or loading it, run {shown(name)}", does)


def _outputs(graph: Message) -> Iterator[str]:
    """Nodes that give the outputs of signatures, or that are run on loading."""
    for entry in graph.get("signature_def", ()):
        signature = entry.get("value", {})
        for side in ("inputs", "outputs"):
            for each in signature.get(side, ()):
                yield from _tensor_names(each.get("value", {}))
    for entry in graph.get("collection_def", ()):
        if entry.get("key") in _ON_LOADING:
            yield from entry.get("value", {}).get("node_list", {}).get("value", ())


def _tensor_names(info: Message) -> Iterator[str]:
    yield from (info["name"],) if "name" in info else ()
    yield from (value for value in info.get("coo_sparse", {}).values() if isinstance(value, str))
    for each in info.get("composite_tensor", {}).get("components", ()):
        yield from _tensor_names(each)


def _functions_of(objects: Mapping[str, Any]) -> Iterator[str]:
    """Functions that a program can call by the objects that it loads."""
    yield from (entry.get("key", "") for entry in objects.get("concrete_functions", ()))
    for saved in objects.get("nodes", ()):
        yield from saved.get("function", {}).get("concrete_functions", ())
        yield saved.get("bare_concrete_function", {}).get("concrete_function_name", "")
