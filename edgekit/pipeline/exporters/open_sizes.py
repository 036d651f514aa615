"""Sizes that a method of a ``.pte`` leaves open: how torch is told, and what it says where a model fixes one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType

import torch
from torch.export import Dim, ExportedProgram
from torch.utils._sympy.value_ranges import ValueRanges

from edgekit.buckets import Range, middle_of
from edgekit.errors import ConversionError
from edgekit.pipeline.rewrites.exported import DynamicShapes
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.tracing import code_line
from edgekit.runtime.contents.flatbuffer import Table
from edgekit.schema import conform
from edgekit.tensors import TensorSpec

_HINT = "name the sizes that you need in a list of [model.buckets] instead: each gets a method of its own"


@dataclass(frozen=True)
class OpenSizes:
    """The open sizes of a method.

    Attributes:
        batch, length: Least and most; None for one that is fixed.
        axes: Of each input that has the length, its axis.
    """

    batch: Range | None = None
    length: Range | None = None
    axes: Mapping[str, int] | None = None

    @classmethod
    def from_json(cls, value: object) -> OpenSizes:
        found: OpenSizes = conform(cls, value)
        return found

    @property
    def any(self) -> bool:
        return self.batch is not None or self.length is not None

    def traced_batch(self, batch: int) -> int:
        """Samples to trace with: *batch* where that is fixed, else some, but never 1, which torch would fix."""
        return batch if self.batch is None else max(2, middle_of(self.batch))

    def cut(self, tensors: Sequence[torch.Tensor], specs: Sequence[TensorSpec]) -> tuple[torch.Tensor, ...]:
        """*tensors* of full length at one to trace with."""
        if self.length is None:
            return tuple(tensors)
        length, axes = max(2, middle_of(self.length)), self.axes or {}
        return tuple(
            tensor.narrow(axes[spec.name], 0, length).contiguous() if spec.name in axes else tensor
            for tensor, spec in zip(tensors, specs, strict=True)
        )

    def shapes(self, specs: Sequence[TensorSpec]) -> DynamicShapes | None:
        """What `torch.export.export` takes for inputs like *specs*; None where nothing is open."""
        if not self.any:
            return None
        batch = None if self.batch is None else Dim("batch", min=self.batch[0], max=self.batch[1])
        length = None if self.length is None else Dim("length", min=self.length[0], max=self.length[1])
        found = []
        for spec in specs:
            axis = (self.axes or {}).get(spec.name)
            open_axes = {0: batch} if batch is not None and spec.shape else {}
            found.append(open_axes | ({axis: length} if length is not None and axis is not None else {}))
        return tuple(found)

    def refusal(self, error: BaseException, specs: Sequence[TensorSpec]) -> ConversionError | None:
        """What torch's *error* means for a model that was traced at fixed sizes before; None where nothing is open."""
        if not self.any:
            return None
        if (known := self._constraint(str(error), specs)) is not None:
            return known
        return _refused(f"the model does not leave {self._all(specs)} open{code_line(error)}: {first_line(error)}")

    def not_lowered(
        self, error: BaseException, specs: Sequence[TensorSpec], program: ExportedProgram | None
    ) -> ConversionError:
        """The same for a converter's *error* about a model that it takes at fixed sizes.

        Args:
            program: The model with these sizes open, if it came to that.
        """
        if (known := self._constraint(str(error), specs)) is not None:
            return known
        # executorch 1.5.1 says no word of them: "AssertionError".
        if not str(error) and program is not None and (computed := _of_sizes(program)):
            what = f"what it computes from sizes, {', '.join(computed)}, has no equivalent there"
            return _refused(f"ExecuTorch does not take this model with {self._all(specs)} open: {what}")
        return _refused(f"ExecuTorch does not take this model with {self._all(specs)} open: {first_line(error)}")

    def _constraint(self, text: str, specs: Sequence[TensorSpec]) -> ConversionError | None:
        """For what torch says of one size; None where it says nothing of one."""
        named = re.search(r"[Cc]onstraints violated \((\w+)", text)
        if named is None:
            return None
        name = named[1]
        if re.search(rf"{name}\b.*?specialized it to be a constant", text) is not None:
            what = f"the model fixes {self._where(name, specs)} when it is exported: it then holds for one size only"
            return _refused(what)
        what = f"the model does not leave {self._where(name, specs)} open"
        said = rf"values of {name} = (\S+) in the specified range .*? satisfy the generated guard (.+?)\.?$"
        guard = re.search(said, text, re.MULTILINE)
        if guard is None:
            return _refused(what)
        condition = guard[2].replace(guard[1], name)
        what += f": it computes another way unless {condition}"
        bounds = set(re.split(r" <=? | and ", condition)) - {name}
        return _refused(what, f"let the range keep to that, or {_HINT}" if all(map(str.isdigit, bounds)) else _HINT)

    def check(self, plan: Table, specs: Sequence[TensorSpec]) -> None:
        """Raise unless the method of a file with this *plan* leaves these sizes open as far as they go.

        Args:
            specs: Of its inputs, at their largest.

        Raises:
            ConversionError: ``EK-UNSUPPORTED``: one of them is fixed, or goes less far.
        """
        for spec, number in zip(specs, plan["inputs"], strict=True):
            tensor, length_axis = plan["values"][number]["val"], (self.axes or {}).get(spec.name)
            for axis, most in enumerate(spec.shape):
                is_open = (axis == 0 and self.batch) or (axis == length_axis and self.length)
                if not is_open:
                    continue
                name = "batch" if axis == 0 else "length"
                if not tensor["shape_dynamism"]:
                    raise _refused(f"ExecuTorch fixes {self._where(name, specs)}, at {tensor['sizes'][axis]}")
                if tensor["sizes"][axis] != most:
                    what = f"ExecuTorch takes {self._where(name, specs)} up to {tensor['sizes'][axis]}, not to {most}"
                    raise _refused(what)

    def _all(self, specs: Sequence[TensorSpec]) -> str:
        named = (("batch", self.batch), ("length", self.length))
        return " and ".join(self._where(name, specs) for name, sizes in named if sizes is not None)

    def _where(self, name: str, specs: Sequence[TensorSpec]) -> str:
        if name == "batch":
            return f"the batch size (axis 0 of {specs[0].name!r})"
        first, axis = next(iter((self.axes or {}).items()))
        return f"the length (axis {axis} of {first!r})"


#: Nothing is open.
FIXED = OpenSizes()


#: What torch puts in a graph for what is computed from sizes, and ExecuTorch does not take; as a person would say it.
_FROM_SIZES = {
    "sym_float": "a fraction or a scale factor",
    "sym_min": "min()",
    "sym_max": "max()",
    "sym_sqrt": "a root",
    "sym_not": "a condition",
    "sym_ite": "a condition",
}


def _of_sizes(program: ExportedProgram) -> list[str]:
    """What *program* computes from sizes by functions of Python, which ExecuTorch has none of."""
    targets = [node.target for node in program.run_decompositions().graph.nodes]
    names = [each.__name__ for each in targets if isinstance(each, FunctionType)]
    return list(dict.fromkeys(_FROM_SIZES.get(name, f"{name}()") for name in names))


def _refused(what: str, hint: str = _HINT) -> ConversionError:
    return ConversionError("EK-UNSUPPORTED", what, hint)


def restore_bounds(program: ExportedProgram, shapes: DynamicShapes) -> None:
    """Have memory planned for all sizes that *shapes* leaves open.

    A guess of torch 2.13 about the layout of a convolution's result (it is another for less than 16 samples) stands in
    executorch 1.5.1 as the bound of the batch size. Symptom: a file for up to 16 samples, or for up to 64, refuses more
    than 15 ("Attempted to resize a bounded tensor").
    """
    inputs = set(program.graph_signature.user_inputs)
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    for node, open_axes in zip(placeholders, shapes, strict=True):
        for axis, sizes in open_axes.items():
            size = node.meta["val"].shape[axis]
            if isinstance(size, torch.SymInt):
                size.node.shape_env.var_to_range[size.node.expr] = ValueRanges(sizes.min, sizes.max)
