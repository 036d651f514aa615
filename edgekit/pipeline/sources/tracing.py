"""Whether torch.export can follow a PyTorch model, asked of the model itself before anything is exported.

Every exporter traces the model once. What depends on the values of the input, beyond numbers in tensors, cannot be
traced: it would be frozen as it was for one sample, or it fails in each converter with another message.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, free_unbacked_symbols
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from edgekit.errors import UsageError
from edgekit.pipeline.sources.determinism import stateful_error, write_error

_TORCH = Path(torch.__file__).parent
_EDGEKIT = Path(__file__).parents[2]
_STACK_LINE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')

#: How torch 2.13 says that a tensor's numbers are asked for while there are none.
_NUMBERS_ASKED_FOR = ("is not supported for tensor subclasses", "Cannot access data pointer", "_local_scalar_dense")
#: A condition, and not a lone number, stands in the message of torch 2.13: ``Eq(u0, 1)``, ``u1 > u0``.
_CONDITION = re.compile(r"Could not guard on data-dependent expression (?!z?u\w+ )")
#: ... and that a tensor is written to that it knows no place for.
_MUTATED = re.compile(r"Constant (\S+) is mutated in the forward")
#: Arguments that say whether an operator draws random numbers: of dropout, rrelu, lstm, gru and the like.
_SWITCHES = ("train", "training")
_SCALARS = ("aten::item", "aten::_local_scalar_dense")

#: What a model may do with values, and what to do instead: with those of its input, and of its own tensors.
_BRANCHES, _NUMBER, _SIZE = "branches on", "makes a Python number of", "makes a tensor whose size depends on"
_OF_INPUT, _OF_ITS_OWN = "its input's values", "the values of its own tensors"
_HINTS = {
    (_BRANCHES, _OF_INPUT): "torch.where chooses between two results, torch.cond between two computations",
    (_BRANCHES, _OF_ITS_OWN): "keep what decides as a Python number in __init__: tensors have no values while traced",
    (_NUMBER, _OF_INPUT): "keep it a tensor: no float(), int(), .item() or .tolist()",
    (_NUMBER, _OF_ITS_OWN): "keep it as a Python number in __init__: tensors have no values while traced",
    (_SIZE, _OF_INPUT): "files have fixed shapes: torch.where or a product with the mask keeps all places, topk takes "
    "a fixed number",
    (_SIZE, _OF_ITS_OWN): "make it in __init__: numbers of places instead of a mask",
}


def check_traceable(
    what: str,
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    written: Mapping[str, Sequence[str]],
) -> None:
    """Trace *module* and look for what no exported file can do.

    Args:
        what: How a message calls the model.
        inputs: One sample.
        written: What the module changes at every call (see `edgekit.pipeline.sources.determinism.check_repeatable`).

    Raises:
        UsageError: ``EK-SOURCE``, with the line of the model's code: it branches on values, makes tensors whose size
            depends on values, seeds and draws random numbers, computes batch norm from the batch, or depends on a
            buffer that it writes. What torch cannot trace for other reasons is left to the exporters.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(module, inputs)
    except GuardOnDataDependentSymNode as error:
        does = _BRANCHES if _CONDITION.search(str(error)) else _NUMBER
        raise _refusal(what, does, _asks_the_input(module, inputs), code_line(error)) from error
    except Exception as error:  # torch.export raises whatever the model's code and its own passes do
        if any(words in str(error) for words in _NUMBERS_ASKED_FOR):
            message = f"{what} takes its tensors' numbers out of torch{code_line(error)}"
            raise UsageError("EK-SOURCE", message, "compute with torch: no .numpy(), .tolist() or .item()") from error
        if written:  # harmless to its outputs, and most likely the reason
            raise write_error(what, written) from error
        return
    needed = _behind([node for node in program.graph.nodes if node.name in program.graph_signature.user_outputs])
    for node in program.graph.nodes:
        if free_unbacked_symbols(_shapes(node)):
            raise _refusal(what, _SIZE, _depends_on_input(program, *_deciding(node)), _node_line(node))
        if _operator(node) in _SCALARS and (node in needed or node.users):
            # A number that only decides: the model's own ``except`` kept what torch said of it.
            does = _NUMBER if node in needed else _BRANCHES
            raise _refusal(what, does, _depends_on_input(program, node), _node_line(node))
        if _operator(node) == "aten::batch_norm" and node.args[5] is True:
            message = f"{what} computes batch norm from the batch itself{_node_line(node)}"
            hint = "leave it in evaluation mode, or use GroupNorm: exported files take one sample at a time"
            raise UsageError("EK-SOURCE", message, hint)
        if node in needed and _draws(node):
            message = f"{what} draws random numbers{_node_line(node)}, which no exported file would draw alike"
            hint = "draw them once in __init__ and keep them: self.register_buffer(NAME, tensor)"
            raise UsageError("EK-SOURCE", message, hint)
    if written:
        _check_buffers(what, program)


def code_line(error: BaseException) -> str:
    """Where in the model's own code *error* comes from, as " (model.py:12)"; empty when nothing says so."""
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    return _last_of_the_model(frames)


def _refusal(what: str, does: str, of_input: bool, where: str) -> UsageError:
    whose = _OF_INPUT if of_input else _OF_ITS_OWN
    return UsageError("EK-SOURCE", f"{what} {does} {whose}{where}", _HINTS[does, whose])


def _check_buffers(what: str, program: ExportedProgram) -> None:
    """Refuse a program whose outputs depend on a buffer that it writes, however late that shows."""
    try:
        functional = program.run_decompositions({})
    except RuntimeError as error:
        if found := _MUTATED.search(str(error)):
            message = f"{what} writes to {found[1]!r}, which is no buffer"
            raise UsageError("EK-SOURCE", message, "self.register_buffer(NAME, tensor) makes it one") from error
        return
    signature = functional.graph_signature
    written = set(signature.buffers_to_mutate.values())
    outputs = [node for node in functional.graph.nodes if node.name in signature.user_outputs]
    needed = {node.name for node in _behind(outputs)}
    read = [buffer for name, buffer in signature.inputs_to_buffers.items() if name in needed and buffer in written]
    if read:
        raise stateful_error(what, {"buffer": read})


def _behind(nodes: Iterable[Node]) -> set[Node]:
    """*nodes* and everything that they are computed from."""
    found: set[Node] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += node.all_input_nodes
    return found


def _depends_on_input(program: ExportedProgram, *nodes: Node) -> bool:
    return any(each.name in program.graph_signature.user_inputs for each in _behind(nodes))


def _deciding(node: Node) -> list[Node]:
    """The nodes whose values decide about the size of *node*: of ``x[mask]``, the mask."""
    if _operator(node) in ("aten::index", "aten::masked_select", "aten::repeat_interleave"):
        return [each for each in tree_leaves(node.args[1]) if isinstance(each, Node)]
    return [node]


def _asks_the_input(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> bool:
    """Whether a number that *module* takes out of a tensor comes from its inputs, and not from tensors of its own."""
    # Kept as long as they are marked, for another tensor would get the number of one that is gone.
    marked: dict[int, torch.Tensor] = {id(tensor): tensor for tensor in inputs}
    asked: list[bool] = []

    class Marker(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            results = function(*args, **(kwargs or {}))
            if any(id(each) in marked for each in tree_leaves((args, kwargs))):
                asked.append(function._schema.name in _SCALARS)
                marked.update((id(each), each) for each in tree_leaves(results) if isinstance(each, torch.Tensor))
            return results

    with torch.no_grad(), Marker():
        module(*inputs)
    return any(asked)


def _operator(node: Node) -> str:
    """The name of what *node* calls, as ``aten::add``; empty when it is none of torch's operators."""
    return node.target._schema.name if isinstance(node.target, torch._ops.OpOverload) else ""


def _draws(node: Node) -> bool:
    if not _operator(node) or torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    name = _operator(node).partition("::")[2].rstrip("_")
    if "attention" in name:  # its dropout is off: two runs gave the same
        return False
    names = [argument.name for argument in node.target._schema.arguments]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    switches = [each for each in _SWITCHES if each in names]
    return not switches or any(given.get(each) for each in switches)


def _shapes(node: Node) -> list[Any]:
    return [list(each.shape) for each in tree_leaves(node.meta.get("val")) if isinstance(each, torch.Tensor)]


def _node_line(node: Node) -> str:
    found = _STACK_LINE.finditer(str(node.meta.get("stack_trace") or ""))
    return _last_of_the_model([(match["file"], int(match["line"])) for match in found])


def _last_of_the_model(frames: Sequence[tuple[str, int]]) -> str:
    own = [
        (Path(file), line)
        for file, line in frames
        if not Path(file).is_relative_to(_TORCH) and not Path(file).is_relative_to(_EDGEKIT) and Path(file).is_file()
    ]
    return f" ({own[-1][0].name}:{own[-1][1]})" if own else ""
