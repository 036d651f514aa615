"""What an exported file really holds: bytes by type, operators, and what its accelerated backend takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from edgekit.errors import BundleError

#: Format -> the module with ``read(data: bytes) -> FileFacts``.
_READERS = {
    "tflite": "edgekit.pipeline.readers.tflite",
    "pte": "edgekit.pipeline.readers.pte",
    "ptl": "edgekit.pipeline.readers.ptl",
    "onnx": "edgekit.pipeline.readers.onnx",
    "pt2": "edgekit.pipeline.readers.pt2",
    "keras": "edgekit.pipeline.readers.keras",
}


@dataclass(frozen=True)
class Constant:
    """One constant tensor of a file: numpy dtype name, number of dimensions and bytes."""

    dtype: str
    rank: int
    size_bytes: int


@dataclass(frozen=True)
class FileFacts:
    """What is in a model file.

    Attributes:
        weight_bytes: Bytes of constant matrices and kernels by numpy dtype name.
        bias_bytes: The same of constant vectors and scalars: biases, mostly. Quantization scales count as neither.
        operators: How often each operator occurs, under the format's own names.
        kinds: The kinds of operator among them, of those that recipes and targets tell apart: ``convolution``,
            ``linear``, ``recurrent``.
        delegated_share: Percent of operators that run inside the accelerated backend; None in a format without one.
        undelegated_ops: How often each operator occurs outside of it.
        arena_bytes: The most that values between operators take at one time; None where the format does not say.
        backends: Ids of the backends that parts of a ``.pte`` file are delegated to, as they stand in it.
    """

    weight_bytes: Mapping[str, int]
    bias_bytes: Mapping[str, int]
    operators: Mapping[str, int]
    kinds: tuple[str, ...]
    delegated_share: float | None
    undelegated_ops: Mapping[str, int] = field(default_factory=dict)
    arena_bytes: int | None = None
    backends: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        constants: Iterable[Constant],
        inside: Mapping[str, int],
        outside: Mapping[str, int],
        kinds: Mapping[str, str],
        arena_bytes: int | None = None,
        backends: tuple[str, ...] = (),
    ) -> FileFacts:
        """Sum up what a reader found: *inside* and *outside* count operators by name, *kinds* maps names to kinds."""
        weights: Counter[str] = Counter()
        biases: Counter[str] = Counter()
        for constant in constants:
            (weights if constant.rank > 1 else biases)[constant.dtype] += constant.size_bytes
        operators = Counter(inside) + Counter(outside)
        delegated = 100.0 * sum(inside.values()) / operators.total() if operators else 0.0
        return cls(
            weight_bytes=dict(sorted(weights.items())),
            bias_bytes=dict(sorted(biases.items())),
            operators=dict(sorted(operators.items())),
            kinds=tuple(sorted({kinds[name] for name in operators if name in kinds})),
            delegated_share=delegated,
            undelegated_ops=dict(sorted(outside.items())),
            arena_bytes=arena_bytes,
            backends=backends,
        )

    @classmethod
    def undelegated(
        cls, constants: Iterable[Constant], operators: Mapping[str, int], kinds: Mapping[str, str]
    ) -> FileFacts:
        """The same for a format that knows no delegate, so that none is missed."""
        return replace(cls.of(constants, {}, operators, kinds), delegated_share=None, undelegated_ops={})


def peak_bytes(nodes: Sequence[Collection[int]], sizes: Mapping[int, int]) -> int:
    """The most bytes that are alive at one time.

    Args:
        nodes: The tensors that each operator reads or writes, by number, in order of execution.
        sizes: Bytes of each tensor; those not in it (constants) are not counted.
    """
    last = {tensor: step for step, node in enumerate(nodes) for tensor in node}
    alive: set[int] = set()
    peak = 0
    for step, node in enumerate(nodes):
        alive |= sizes.keys() & set(node)
        peak = max(peak, sum(sizes[tensor] for tensor in alive))
        alive -= {tensor for tensor in node if last[tensor] == step}
    return peak


def values_in(size_bytes: Mapping[str, int]) -> dict[str, int]:
    """Number of values by dtype, from bytes by dtype."""
    return {dtype: count // np.dtype(dtype).itemsize for dtype, count in size_bytes.items()}


def inspect_file(path: Path, format: str) -> FileFacts:
    """Read the file at *path*. Imports what reading its *format* takes.

    Raises:
        BundleError: ``EK-BUNDLE``: it is not a file of that format.
    """
    try:
        facts: FileFacts = import_module(_READERS[format]).read(path.read_bytes())
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BundleError(
            "EK-BUNDLE", f"{path} is not a readable .{format} file ({error})", "export it again"
        ) from error
    return facts
