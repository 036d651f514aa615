"""Known symptoms: what converters and engines say of models that they cannot take, in words that help.

Each is what litert-torch 0.10.0, ai-edge-quantizer 0.10.0, LiteRT 2.3.0 or executorch 1.5.1 say.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError, EdgekitError

_PACKAGE = str(Path(__file__).parents[2])
_ELSEWHERE = "write it with other operators, leave it to the program that calls the model, or build the other format"


@dataclass(frozen=True)
class Symptom:
    """A pattern in what was said, and what it means; its group ``operator`` stands in the message as ``{operator}``."""

    pattern: str
    message: str
    hint: str = _ELSEWHERE


SYMPTOMS = (
    Symptom(r"Unsupported ir element type: complex", "no file can hold complex numbers"),
    Symptom(r"Lowering not found: aten\.(?P<operator>\w+)", "LiteRT has no operator for aten.{operator}"),
    Symptom(
        r"Operator torch\._ops\.aten\.(?P<operator>\w+)\.\w+ is not in Core ATen opset",
        "ExecuTorch has no operator for aten.{operator}",
    ),
    Symptom(
        r"(?:Flex|TF Select) ops: (?P<operator>\w+)",
        "LiteRT has no operator for {operator}, TensorFlow would be needed",
    ),
    Symptom(r"failed to legalize operation '(?:\w+\.)?(?P<operator>\w+)'", "LiteRT cannot do this {operator}"),
    Symptom(
        r"Didn't find op for builtin opcode 'STABLEHLO_(?P<operator>\w+)'",
        "LiteRT cannot do this {operator}: it knows it in one and two dimensions",
    ),
    Symptom(r"RESIZE_BILINEAR gives .*its tensor is", "LiteRT cannot do this transposed convolution or resizing"),
    Symptom(
        r"Expect input tensor to be 3-D or 4-D",
        "ExecuTorch has convolutions in one and two dimensions, and the model has one in three",
    ),
    Symptom(
        r"it holds the operator '(?:\w+::)?(?P<operator>\w+)(?:\.\w+)?'",
        "the runtime of this format has no kernel for {operator}",
    ),
    Symptom(
        r"An error occurred when running the '(?P<step>\w+)' pass",
        "executorch 1.5.1 cannot lower this model to XNNPACK (its {step} fails)",
        "build another recipe or format, or return fewer outputs of one layer",
    ),
    Symptom(
        r"XNNPACK's graph has other inputs and outputs than it says",
        "executorch makes a file of this model that is not sound",
        "build another recipe or format",
    ),
    Symptom(
        r"Could not guard on data-dependent|GuardOnDataDependent|data-dependent (?:expression|control flow)",
        "the model branches on its input's values, and a file has one path",
        "compute both ways and choose with torch.where()",
    ),
    Symptom(
        r"xnn_status_unsupported_parameter|failed to create XNNPACK runtime|failed to delegate",
        "XNNPACK does not take this file: in int8, a layer's inputs are far larger than what it makes of them",
        "bring the inputs to one size, (x - mean) / deviation, before the model; or use fp16 or fp32",
    ),
    Symptom(
        r"Propagating input shapes failed with code: xnn_status_invalid_parameter",
        "XNNPACK cannot run a layer of this model with ranges that it finds at run time",
        "use int8, or fp16",
    ),
    Symptom(
        r"taking Tensor inputs with mismatched dtypes",
        "ExecuTorch does not mix these types of numbers in one operator",
        "convert explicitly in forward(), as with .float(), or build the other format",
    ),
)


def explained(error: BaseException, graph_module: Any = None) -> ConversionError | None:
    """What is known of *error*; with the line of the user's code, where *graph_module* says which its operators are of.

    A refusal of edgekit's own is only looked at if an engine or a reader of files made it.
    """
    if isinstance(error, EdgekitError) and error.code not in ("EK-RUN", "EK-BUNDLE"):
        return None
    text = error.message if isinstance(error, EdgekitError) else "".join(traceback.format_exception(error))
    for symptom in SYMPTOMS:
        found = re.search(symptom.pattern, text, re.DOTALL)
        if found is not None:
            message = symptom.message.format(**found.groupdict())
            where = _line(graph_module, found.groupdict().get("operator"))
            return ConversionError("EK-UNSUPPORTED", message + where, symptom.hint)
    return None


@contextmanager
def explaining(graph_module: Any = None) -> Iterator[None]:
    """Say known symptoms in words that help."""
    try:
        yield
    except Exception as error:
        if (known := explained(error, graph_module)) is None:
            raise
        raise known from error


def _line(graph_module: Any, operator: str | None) -> str:
    """The innermost line outside of installed packages that *operator* is from, as ` (net.py:12: return a + b)`."""
    if graph_module is None or operator is None:
        return ""
    wanted = operator.lower().replace("_", "")
    for node in graph_module.graph.nodes:
        name = str(getattr(node.target, "__name__", node.target)).partition(".")[0].lower().replace("_", "")
        if node.op != "call_function" or not (name == wanted or name.startswith(wanted)):
            continue
        frames = re.findall(r'File "([^"]+)", line (\d+), in \w+\n\s*(.+)', node.meta.get("stack_trace") or "")
        own = [each for each in frames if "site-packages" not in each[0] and not each[0].startswith(_PACKAGE)]
        if own:
            path, number, code = own[-1]
            return f" ({path.rpartition('/')[2]}:{number}: {code.strip()[:80]})"
    return ""
