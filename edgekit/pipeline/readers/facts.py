"""What an exported file really holds: bytes by type, operators, and what its accelerated backend takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from edgekit.errors import BundleError
from edgekit.formats import FORMATS

#: Types of indices, counts and masks.
_WHOLE_NUMBERS = ("int16", "int32", "int64", "bool")

#: Kinds of operator that multiply and add. Recurrent ones are fast outside of a backend, too.
_HEAVY = ("convolution", "linear")


@dataclass(frozen=True)
class Constant:
    """One constant tensor of a file.

    Attributes:
        dtype: numpy's name.
        reader: The operator that reads it, under the format's own name; empty where the reader does not say.
    """

    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    reader: str = ""

    @property
    def values(self) -> int:
        return self.size_bytes // np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Call:
    """One operator that runs.

    Attributes:
        name: Under the format's own name.
        work: Values that it computes; multiply-accumulates of a convolution or a product of matrices.
        delegated: Whether it runs inside the accelerated backend.
    """

    name: str
    work: int = 1
    delegated: bool = False


def kinds(prefix: str = "", **names: str) -> dict[str, str]:
    """The kind (see `FileFacts`) of each operator, by its name, from names of operators by kind."""
    return {f"{prefix}{name}": kind for kind, listed in names.items() for name in listed.split()}


@dataclass(frozen=True)
class Delegate:
    """One part of a ``.pte`` that runs inside an accelerated backend.

    Attributes:
        calls: Its operators, under the backend's own names; what the backend adds for itself is left out.
        constants: By what tells them apart: a constant that several delegates share counts once.
        kinds: Kinds of operator (see `FileFacts`) by name.
        arena_bytes: The most that intermediate values take at one time; None where that is not known.
    """

    calls: tuple[Call, ...]
    constants: Mapping[str, Constant]
    kinds: Mapping[str, str]
    arena_bytes: int | None = None


@dataclass(frozen=True)
class FileFacts:
    """What is in a model file.

    Attributes:
        constants: Weights, biases and tables. Quantization scales are none.
        operators: How often each operator occurs, under the format's own names.
        kinds: The kinds of operator among them, of those that recipes and targets tell apart: ``convolution``,
            ``linear``, ``recurrent``.
        delegated_share: Percent of the work that is done inside the accelerated backend; None in a format without one.
        undelegated_ops: How often each operator occurs outside of it.
        heavy_ops: The convolutions and products of matrices among them, and the percentage of all work that each does.
        arena_bytes: The most that values between operators take at one time; None where the format does not say.
        backends: Ids of the backends that parts of the file are delegated to, as they stand in it; None in a format
            that names none.
    """

    constants: tuple[Constant, ...]
    operators: Mapping[str, int]
    kinds: tuple[str, ...]
    delegated_share: float | None
    undelegated_ops: Mapping[str, int] = field(default_factory=dict)
    arena_bytes: int | None = None
    backends: tuple[str, ...] | None = None
    heavy_ops: Mapping[str, float] = field(default_factory=dict)

    @property
    def weights(self) -> tuple[Constant, ...]:
        """Constant matrices and kernels; indices, counts and masks are none."""
        return tuple(each for each in self.constants if len(each.shape) > 1 and each.dtype not in _WHOLE_NUMBERS)

    @property
    def weight_bytes(self) -> Mapping[str, int]:
        """Bytes of the weights by dtype."""
        found: Counter[str] = Counter()
        for each in self.weights:
            found[each.dtype] += each.size_bytes
        return dict(sorted(found.items()))

    @classmethod
    def of(
        cls,
        constants: Iterable[Constant],
        calls: Iterable[Call],
        kinds: Mapping[str, str],
        arena_bytes: int | None = None,
        backends: tuple[str, ...] | None = None,
    ) -> FileFacts:
        """Sum up what a reader found; *kinds* maps names of operators to kinds."""
        found = list(calls)
        operators = Counter(call.name for call in found)
        outside = Counter(call.name for call in found if not call.delegated)
        work = sum(call.work for call in found)
        inside = sum(call.work for call in found if call.delegated)
        heavy: Counter[str] = Counter()
        for call in found:
            if kinds.get(call.name) in _HEAVY and not call.delegated:
                heavy[call.name] += call.work
        return cls(
            constants=tuple(constants),
            operators=dict(sorted(operators.items())),
            kinds=tuple(sorted({kinds[name] for name in operators if name in kinds})),
            delegated_share=100.0 * inside / work if work else 0.0,
            undelegated_ops=dict(sorted(outside.items())),
            arena_bytes=arena_bytes,
            backends=backends,
            heavy_ops={name: round(100.0 * done / work, 1) for name, done in heavy.most_common()},
        )

    @classmethod
    def undelegated(cls, constants: Iterable[Constant], names: Iterable[str], kinds: Mapping[str, str]) -> FileFacts:
        """The same for a format that knows no delegate, so that none is missed."""
        found = cls.of(constants, map(Call, names), kinds)
        return replace(found, delegated_share=None, undelegated_ops={}, heavy_ops={})


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


def inspect_file(path: Path, format: str) -> FileFacts:
    """Read the file at *path*. Imports what reading its *format* takes.

    Raises:
        BundleError: ``EK-BUNDLE``: it is not a file of that format.
    """
    try:
        facts: FileFacts = import_module(FORMATS[format].facts).read(path.read_bytes())
    except (ValueError, KeyError, IndexError, TypeError) as error:
        message = f"{path} is not a readable .{format} file ({error})"
        raise BundleError("EK-BUNDLE", message, "export it again") from error
    return facts
