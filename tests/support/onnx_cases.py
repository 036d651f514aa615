"""ONNX's own test cases of single operators, made in memory by its package, and what the importer makes of them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.onnx_to_torch import import_model
from edgekit.pipeline.sources.onnx_to_torch.nodes import UnsupportedOperator
from edgekit.pipeline.sources.onnx_to_torch.tensors import tensor_of
from edgekit.runtime.engines import onnxruntime

#: Domains that are about other things than computing outputs: tables of words, trees, and training.
_OTHER_DOMAINS = ("ai.onnx.ml", "ai.onnx.preview.training")
#: Of a result in half precision: an error of its last bits.
_HALF = {"float16": (2e-3, 5e-4), "bfloat16": (2e-2, 4e-3)}


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        outcome: ``passed``, ``refused`` or ``wrong``.
        operator: That was refused.
        why: The refusal, or what is wrong.
        pinned: Inputs that were made constants: those that decide about shapes, and ONNX's cases hand in.
        exported: Whether torch.export takes the module; None for one that was not tried.
        runtime: Whether ONNX Runtime gives the same; None for one that it does not run.
    """

    name: str
    outcome: str
    operator: str = ""
    why: str = ""
    pinned: tuple[str, ...] = ()
    exported: bool | None = None
    runtime: bool | None = None


def cases() -> tuple[list[Any], Counter[str]]:
    """The cases of tensors, and how many there are of others, by why they are."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, as the cases are made: overflows are among them
        collected = collect_testcases(None)
    others = Counter(other for case in collected if (other := _other(case.model)))
    return [case for case in collected if not _other(case.model)], others


def _other(model: onnx.ModelProto) -> str | None:
    for each in (*model.graph.input, *model.graph.output):
        kind = each.type.WhichOneof("value")
        if kind != "tensor_type":
            return str(kind)
        if each.type.tensor_type.elem_type == TensorProto.STRING:
            return "string"
    return next((each.domain for each in model.opset_import if each.domain in _OTHER_DOMAINS), None)


def judge(case: Any, *, export: bool = False, runtime: bool = False) -> Verdict:
    """Import *case*, run it, and compare with the outputs that it expects.

    Args:
        export: Try torch.export as well.
        runtime: Compare with ONNX Runtime as well.
    """
    given, expected = ([_array(value) for value in values] for values in case.data_sets[0])
    inputs = dict(zip((each.name for each in case.model.graph.input), given, strict=False))
    pinned: dict[str, np.ndarray] = {}
    while True:
        model = _with_constants(case.model, pinned)
        rest = {name: array for name, array in inputs.items() if name not in pinned}
        examples: dict[str, torch.Tensor] = {}
        try:
            examples |= {name: tensor_of(numpy_helper.from_array(array)) for name, array in rest.items()}
            module = import_model(model, examples)
            break
        except UnsupportedOperator as error:
            wanted = {name: inputs[name] for name in error.inputs if name in examples}
            if not wanted:
                return Verdict(case.name, "refused", error.operator, str(error), tuple(pinned))
            pinned |= wanted
        except ConversionError as error:
            return Verdict(case.name, "refused", "type", str(error), tuple(pinned))
    with torch.no_grad():
        results = module(*examples.values())
    found = [_numbers(each) for each in (results if isinstance(results, tuple) else (results,))]
    faults = [fault for each, other in zip(found, expected, strict=True) if (fault := _fault(each, other, case))]
    if faults:
        return Verdict(case.name, "wrong", why="; ".join(faults), pinned=tuple(pinned))
    return Verdict(
        case.name,
        "passed",
        pinned=tuple(pinned),
        exported=_exports(module, tuple(examples.values())) if export and examples else None,
        runtime=_agrees(case, inputs, found) if runtime else None,
    )


def _array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def _with_constants(model: onnx.ModelProto, constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = [each for each in changed.graph.input if each.name not in constants]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    changed.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return changed


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    """As numpy has them; torch's own types as ``ml_dtypes``."""
    try:
        return tensor.resolve_conj().numpy()
    except TypeError:
        import ml_dtypes

        name = str(tensor.dtype).removeprefix("torch.")
        stored = {1: torch.uint8, 2: torch.int16}[tensor.dtype.itemsize]
        return tensor.view(stored).numpy().view(getattr(ml_dtypes, name))


def _fault(found: np.ndarray, expected: np.ndarray, case: Any) -> str | None:
    narrow = expected.dtype.name in ("int4", "uint4", "int2", "uint2")  # carried in eight bits
    if found.shape != expected.shape or (found.dtype != expected.dtype and not narrow):
        return f"{found.dtype}{list(found.shape)} where {expected.dtype}{list(expected.shape)} is due"
    rtol, atol = _HALF.get(expected.dtype.name, (case.rtol, max(case.atol, 1e-6)))
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    one, other = found.astype(wide), expected.astype(wide)
    if np.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True):
        return None
    return f"differs by {np.nanmax(np.abs(one - other)):.3g}"


def _exports(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> bool:
    try:
        torch.export.export(module, inputs)
    except Exception:  # torch.export raises whatever its passes do
        return False
    return True


def _agrees(case: Any, inputs: dict[str, np.ndarray], found: Sequence[np.ndarray]) -> bool | None:
    library = onnxruntime.library()
    try:
        data = case.model.SerializeToString()
        session = library.InferenceSession(data, onnxruntime.options(1), providers=["CPUExecutionProvider"])
        results = session.run(None, inputs)
    except Exception:  # what it does not have, it does not run
        return None
    return all(_fault(each, np.asarray(other), case) is None for each, other in zip(found, results, strict=True))


def report(verdicts: Sequence[Verdict], others: Counter[str]) -> list[str]:
    """The count, for people."""
    outcomes = Counter(each.outcome for each in verdicts)
    refused = Counter(each.operator for each in verdicts if each.outcome == "refused")
    exported = Counter(each.exported for each in verdicts if each.exported is not None)
    runtime = Counter(each.runtime for each in verdicts if each.outcome == "passed")
    return [
        f"tried {len(verdicts)}, passed {outcomes['passed']} ({100 * outcomes['passed'] / len(verdicts):.1f} %), "
        f"refused by name {outcomes['refused']}, wrong {outcomes['wrong']}",
        f"passed with inputs that decide about shapes made constants: {sum(bool(v.pinned) for v in verdicts)}",
        f"torch.export: {exported[True]} of {exported.total()}",
        f"ONNX Runtime: {runtime[True]} alike, {runtime[False]} not, {runtime[None]} not run by it",
        f"refused: {', '.join(f'{name} {count}' for name, count in refused.most_common())}",
        f"not about tensors: {', '.join(f'{name} {count}' for name, count in others.most_common())}",
    ]
