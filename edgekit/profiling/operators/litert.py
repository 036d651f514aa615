"""LiteRT's profiler events, as the runner writes them down (``runtime/native/litert_engine.cpp``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekit import documents
from edgekit.errors import EdgekitError
from edgekit.profiling.operators.steps import Run, Step, tabulate
from edgekit.runtime.profiler.records import Operators

#: `Event.type`: of the runtime itself, of an operator outside any delegate, and of one inside.
_RUNTIME, _OPERATOR, _DELEGATED = 1, 2, 8
_WHOLE = "Invoke"
#: In a record: a hundred inferences of a model with thousands of operators.
_MOST_VALUES = 3_000_000

#: Operators whose time holds that of others.
_CONTROL = ("WHILE", "IF", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE")

#: Numbers of TensorFlow Lite's operators that stay what they are inside XNNPACK: one node, one operator, in the same
#: order; and how the names of XNNPACK's begin.
_CONV_2D, _DEPTHWISE, _FULLY_CONNECTED, _TRANSPOSE_CONV = 3, 4, 9, 67
_KEPT_NODES = (_CONV_2D, _DEPTHWISE, _FULLY_CONNECTED, _TRANSPOSE_CONV)
_KEPT_OPERATORS = ("Convolution (", "Fully Connected (", "Deconvolution (")

#: A module's class in the paths that litert-torch writes, as far as its name: ``torch.nn.modules.conv.``.
_PACKAGE = re.compile(r"[^/]*\.")
#: What edgekit's exporter wraps a model in.
_WRAPPER = re.compile(r"edgekit\.Model/(?P<model>[^/]*)_model(?P<path>/.*)?")


@dataclass(frozen=True)
class Event:
    """One entry of the profiler.

    Attributes:
        tag: What ran, in the words of whoever ran it: ``Convolution (NHWC, F32) IGEMM``.
        type: Others than those above are not for the time of an inference.
        elapsed_us: Whole microseconds.
        index: Of the node in the file, or, inside a delegate, of the step there.
    """

    tag: str
    type: int
    elapsed_us: int
    index: int


@dataclass(frozen=True)
class Node:
    """One operator of the file: its number in TensorFlow Lite's list, and the name of its first output."""

    code: int
    output: str


def decode(recorded: bytes) -> Operators:
    """The operators in a record of LiteRT's profiler.

    The whole is what the interpreter takes for an inference. What the compiled-model interface does before and after
    it (registering buffers, waiting for other processors) is left out: edgekit runs models without that interface.

    Raises:
        ValueError: It is no such record.
        EdgekitError: ``EK-UNSUPPORTED``: the model branches or loops.
    """
    value = documents.parse(recorded, _MOST_VALUES)
    nodes = [Node(*row) for row in value["nodes"]]
    runs = [[Event(*row) for row in events] for events in value["runs"]]
    kept = _kept(runs[0], nodes) if runs else {}
    sources = {node.output: source for node in nodes if (source := _source(node.output)) is not None}
    return tabulate([_run(events, nodes, kept) for events in runs], sources)


def _run(events: Sequence[Event], nodes: Sequence[Node], kept: Mapping[tuple[int, int], Node]) -> Run:
    whole = next((event for event in events if (event.tag, event.type) == (_WHOLE, _RUNTIME)), None)
    if whole is None:
        raise ValueError("an inference without its whole time is in it")
    steps = []
    for event, key in _keyed(events):
        delegated = event.type == _DELEGATED
        node = kept.get(key) if delegated else nodes[event.index]
        name = None if node is None else node.output
        steps.append(Step(key, event.tag, float(event.elapsed_us), delegated, name))
    return Run(float(whole.elapsed_us), tuple(steps))


def _keyed(events: Sequence[Event]) -> Iterator[tuple[Event, tuple[int, int]]]:
    """The operators among *events*, each with its key: number of the delegate's part of the graph, or -1 outside
    any, and index. A delegate's operators come in one go, counted from 0."""
    part, last = -1, None
    for event in events:
        if event.type == _DELEGATED:
            part += last is None or event.index <= last
            last = event.index
            yield event, (part, event.index)
        elif event.type == _OPERATOR:
            if event.tag in _CONTROL:
                message = f"LiteRT's record does not tell what runs inside of {event.tag}"
                raise EdgekitError("EK-UNSUPPORTED", message)
            last = None
            yield event, (-1, event.index)


def _kept(events: Sequence[Event], nodes: Sequence[Node]) -> Mapping[tuple[int, int], Node]:
    """The nodes of those operators in the delegate that are sure to be one node each, by key.

    XNNPACK fuses nodes and adds conversions, but goes through them in the file's order. So convolutions and fully
    connected layers are known by their order when there are as many of them in the delegate as in the file, and it
    has taken the graph in one part.
    """
    keyed = list(_keyed(events))
    outside = {event.index for event, (part, _) in keyed if part < 0}
    operators = [(event, key) for event, key in keyed if key[0] >= 0 and event.tag.startswith(_KEPT_OPERATORS)]
    there = [node for index, node in enumerate(nodes) if index not in outside and node.code in _KEPT_NODES]
    parts = {key[0] for _, key in keyed if key[0] >= 0}
    same = len(operators) == len(there) and all(
        node.code == _DEPTHWISE for (event, _), node in zip(operators, there, strict=False) if "DWConv" in event.tag
    )
    return {key: node for (_, key), node in zip(operators, there, strict=True)} if same and len(parts) == 1 else {}


def _source(output: str) -> str | None:
    """The layers that the name of a node's output is made of, in the order in which they run; None for other names.

    Converters write the paths of all layers that they fused into a node, the last first: litert-torch as
    ``pkg.Net/torch.nn.modules.activation.ReLU_1;;pkg.Net/torch.nn.modules.conv.Conv2d_0;2`` (class and name of each
    module), TensorFlow as ``net/relu/Relu;net/conv/Conv2D``.
    """
    layers = [_layer(part) for part in reversed(output.split(";")) if "/" in part]
    return " + ".join(dict.fromkeys(layers)) or None


def _layer(path: str) -> str:
    wrapped = _WRAPPER.fullmatch(path)
    if wrapped:
        path = (wrapped["path"] or f"/{wrapped['model']}")[1:]
    return "/".join(_PACKAGE.sub("", part) for part in path.split("/"))
