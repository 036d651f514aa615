"""Source models: what the user has, behind one interface.

A `SourceSpec` is plain data and crosses process borders; `open_source` turns it into a `Source` inside a
worker, where the framework may be imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgekit.registry import import_name
from edgekit.runtime.samples import Stack
from edgekit.schema import conform
from edgekit.source_kinds import SOURCE_KINDS
from edgekit.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    import torch

#: The parts of edgekit's own code that decide what a source is and gives, for the keys of stages that open one.
CODE = (
    "pipeline/sources",
    "pipeline/work/python_file.py",
    "pipeline/data.py",
    "source_kinds.py",
)


@dataclass(frozen=True)
class SourceSpec:
    """Where a source model is.

    Attributes:
        kind: Name of a `edgekit.source_kinds.SourceKind`.
        path: The file or directory.
        factory: Name of the function in *path* that makes the model; None for model files.
        weights: Trained weights: a ``state_dict`` for ``torch``, a ``.keras`` or ``.weights.h5`` file for ``keras``.
        inputs: Specs of the inputs with batch size 1, as the data have them; empty when there are no data yet, and the
            model file says itself what goes in.
        trust: Whether model files and weights may hold more than data (see `edgekit.pipeline.sources.contents`).
        sample: ``.npz`` with a sample of the user's own, by the names of *inputs*; None without data.
        made: File of the weights that *factory* made when it was first called, which it may not make again: read where
            it is there, else written. None for none.
        shapes: By the file's names of its inputs, sizes for axes that it leaves open.
        signature: Which of several signatures of the file; None for its only, or usual one.
        constants: By the file's names, what inputs always are that the bundle's model then does not have.
    """

    kind: str
    path: str
    factory: str | None = None
    weights: str | None = None
    inputs: tuple[TensorSpec, ...] = ()
    trust: bool = False
    sample: str | None = None
    made: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    signature: str | None = None
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def with_weights(self, weights: str) -> SourceSpec:
        """The same with weights that training made here, of the project's own code."""
        return replace(self, weights=weights, trust=True, made=None)

    def read_sample(self) -> dict[str, np.ndarray] | None:
        """The arrays of *sample*."""
        if self.sample is None:
            return None
        with np.load(self.sample, allow_pickle=False) as stored:
            return {name: stored[name][:1].copy() for name in stored.files}

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "inputs": [spec.to_json() for spec in self.inputs],
            "shapes": dict(self.shapes),
            "constants": dict(self.constants),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SourceSpec:
        """What `to_json` described. Raises `ValueError`: *value* is something else."""
        spec: SourceSpec = conform(cls, value)
        return spec


class Source(Protocol):
    """An opened source model, in evaluation mode and float32.

    Attributes:
        framework: ``torch``, ``keras``, ``tensorflow``, ``jax`` or ``pytensor``.
        signature: Inputs and outputs with batch size 1.
        data_names: The data's name for each input of the signature.
        example: One sample, the user's own if there are data: an array per input of the signature.
        parameter_count: Number of trained values that an exported file has to carry (weights and biases;
            batch-norm statistics are folded away).
    """

    framework: str
    signature: Signature
    data_names: tuple[str, ...]
    example: tuple[np.ndarray, ...]
    parameter_count: int

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        """Outputs by name for *inputs* by the signature's names and of its dtypes, samples first.

        One sample at a time, as exported files take them: what a model makes of a batch may depend on all of it.

        Raises:
            UsageError: ``EK-SOURCE``: the shape of an output depends on the sample.
        """
        ...

    def check(self, inputs: Mapping[str, Stack]) -> None:
        """Look, on a few of *inputs*, for what no exported file can do.

        Raises:
            UsageError: ``EK-SOURCE``: the model draws random numbers, keeps a state, or computes in a way that depends
                on the values of its input.
        """
        ...

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        """Whether a few of *inputs* give together what they give one by one."""
        ...

    def nudge(self, random: np.random.Generator) -> None:
        """Move every weight to a number next to it, for good; see `edgekit.pipeline.sources.rounding`."""
        ...

    def torch_module(self) -> torch.nn.Module:
        """The model as an ``nn.Module`` taking the signature's inputs in order.

        Raises:
            ConversionError: ``EK-UNSUPPORTED``, naming the layer that has no equivalent.
        """
        ...


def open_source(spec: SourceSpec) -> Source:
    """Open the source model that *spec* describes. Imports its framework: call it in a worker.

    Raises:
        UsageError: ``EK-SOURCE``, ``EK-CODE`` or ``EK-CHECKPOINT``: it cannot be loaded, or is not the one that *spec*
            was told of.
    """
    source: Source = import_name(SOURCE_KINDS[spec.kind].opener)(spec)
    return source
