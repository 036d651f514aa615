"""What a model file says of its own inputs and outputs, in the same words for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.bounds import MOST_SIDE_BYTES
from edgekit.errors import UsageError, did_you_mean
from edgekit.manifest import Quantization
from edgekit.names import distinct, tensor_name
from edgekit.runtime.contents.refusal import Malformed, shown
from edgekit.shapes import written
from edgekit.tensors import DTYPES, TensorSpec

#: Size of an axis: a number; the name of an open one, which is as large as every other of that name; or None.
Axis = int | str | None
_LETTERS = "HWDABCEFGJKLMNPQ"


@dataclass(frozen=True)
class FileTensor:
    """One input or output of a file.

    Attributes:
        name: As the file has it, or the number that stands in for a name.
        dtype: numpy's name, or words for what numpy does not hold.
        quantization: What its whole numbers stand for; None where they are what they are.
        only: The value that it has to have; None where it may have others.
        is_largest: Whether the file takes smaller ones, too, and does not say along which axes.
    """

    name: str
    shape: tuple[Axis, ...]
    dtype: str
    quantization: Quantization | None = None
    only: float | None = None
    is_largest: bool = False

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(axis) if isinstance(axis, int) else '?' for axis in self.shape)}]"


@dataclass(frozen=True)
class Method:
    """One of the functions in a file."""

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]


@dataclass(frozen=True)
class Interface:
    """What a file can be asked (see `interface`).

    Attributes:
        main: The method that is meant where none is named.
        methods: Where there are several, all of them by name.
        recipe: The one whose precision the file has, as far as its weights and intermediate values tell.
        is_stateful: Whether it keeps values from one run to the next.
        backend: Name of what its operators are lowered to (see `edgekit.backends`).
    """

    main: Method
    methods: Mapping[str, Method]
    recipe: str
    is_stateful: bool
    backend: str


@dataclass(frozen=True)
class Chosen:
    """A method whose axes have sizes.

    Attributes:
        outputs: None where the sizes of one are not known before it has run.
        output_names: Theirs.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...] | None
    output_names: tuple[str, ...]

    def named(self, measured: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """Outputs as they came out, in the file's order, by their names."""
        return tuple(replace(spec, name=name) for spec, name in zip(measured, self.output_names, strict=True))


def interface(
    main: Method,
    methods: Mapping[str, Method] | None = None,
    *,
    recipe: str,
    is_stateful: bool = False,
    backend: str = "cpu",
) -> Interface:
    """The interface of a file with these methods; its tensors get names that a bundle takes, each once on its side.

    Raises:
        Malformed: A method has no input or no output, or one that no array holds.
    """
    further = methods or {}
    names = distinct(tensor_name(name, "method") for name in further)
    named = dict(zip(names, map(_named, further.values()), strict=True))
    return Interface(_named(main), named, recipe, is_stateful, backend)


def choose(method: Method, shapes: Mapping[str, tuple[int, ...]]) -> Chosen:
    """*method* with a size for each axis.

    An open axis has the size that *shapes* gives. The first one of a tensor is else a batch of one, and with it every
    axis of that name.

    Raises:
        UsageError: ``EK-ARGUMENT``: an axis of an input stays open, or *shapes* does not fit.
    """
    known = {tensor.name: tensor for tensor in method.inputs}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in known:
            raise UsageError("EK-ARGUMENT", f"--shape {name}: no input has that name", did_you_mean(name, known))
        _note_sizes(known[name], shape, sizes)
    batches = {tensor.shape[0] for tensor in method.inputs if tensor.shape and tensor.name not in shapes}
    sizes = {axis: 1 for axis in batches if isinstance(axis, str)} | sizes
    inputs = []
    for tensor in method.inputs:
        wanted: tuple[Axis, ...] = shapes.get(tensor.name) or _sized(tensor, sizes)
        if not all(isinstance(axis, int) for axis in wanted):
            raise _left_open(tensor, wanted)
        inputs.append(_spec(tensor, wanted))
    size_bytes = sum(spec.size_bytes for spec in inputs)
    if size_bytes > MOST_SIDE_BYTES:
        message = f"inputs of these shapes take {size_bytes >> 20:,} MiB, more than {MOST_SIDE_BYTES >> 20} MiB"
        raise UsageError("EK-ARGUMENT", message, "choose smaller shapes with --shape")
    found = [(tensor, [sizes.get(a) if isinstance(a, str) else a for a in tensor.shape]) for tensor in method.outputs]
    names = tuple(tensor.name for tensor in method.outputs)
    is_known = not any(None in shape for _, shape in found)
    outputs = tuple(_spec(tensor, shape) for tensor, shape in found) if is_known else None
    return Chosen(tuple(inputs), outputs, names)


def _sized(tensor: FileTensor, sizes: Mapping[str, int]) -> tuple[Axis, ...]:
    named = [sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in tensor.shape]
    return tuple(1 if axis is None and index == 0 else axis for index, axis in enumerate(named))


def _spec(tensor: FileTensor, shape: Sequence[Axis]) -> TensorSpec:
    return TensorSpec(tensor.name, tuple(axis for axis in shape if isinstance(axis, int)), tensor.dtype)


def _note_sizes(tensor: FileTensor, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    """Add to *sizes* what *shape* says of *tensor*'s named axes."""
    text = written(tensor.name, shape)
    if len(shape) != len(tensor.shape) or any(
        isinstance(axis, int) and axis != size for axis, size in zip(tensor.shape, shape, strict=True)
    ):
        is_open = any(not isinstance(axis, int) for axis in tensor.shape)
        has = f"the file has {tensor}"
        hint = "only what is ? can be chosen" if is_open else "it leaves no size open: leave --shape out"
        if tensor.is_largest:
            has = f"the file takes up to {tensor}"
            hint = "it does not say which axes may be smaller, and is run at its largest as it is: leave --shape out"
        raise UsageError("EK-ARGUMENT", f"{text} does not fit: {has}", hint)
    for axis, size in zip(tensor.shape, shape, strict=True):
        if isinstance(axis, str) and sizes.setdefault(axis, size) != size:
            message = f"{text} does not fit: the axis {shown(axis)} is {sizes[axis]} elsewhere"
            raise UsageError("EK-ARGUMENT", message, "axes of one name have one size")


def _left_open(tensor: FileTensor, shape: Sequence[Axis]) -> UsageError:
    letters = iter(_LETTERS)
    wanted = [axis if isinstance(axis, int) else next(letters) for axis in shape]
    message = f"input {tensor.name!r} is {tensor}, and the file does not say how large ? is"
    return UsageError(
        "EK-ARGUMENT",
        message,
        f"say it: {written(tensor.name, wanted)}, with numbers for letters; in Python shapes={{...}}",
    )


def _named(method: Method) -> Method:
    if not method.inputs or not method.outputs:
        raise Malformed("it has no inputs" if not method.inputs else "it has no outputs")
    return Method(_side(method.inputs, "input"), _side(method.outputs, "output"))


def _side(tensors: tuple[FileTensor, ...], word: str) -> tuple[FileTensor, ...]:
    for tensor in tensors:
        if tensor.dtype not in DTYPES:
            raise Malformed(f"its {word} {shown(tensor.name)} is {tensor.dtype}, which no numpy array holds")
        if any(axis == 0 for axis in tensor.shape):
            raise Malformed(f"its {word} {shown(tensor.name)} is {tensor}, which holds nothing")
    names = distinct(tensor_name(tensor.name, f"{word}_{number}") for number, tensor in enumerate(tensors))
    return tuple(replace(tensor, name=name) for name, tensor in zip(names, tensors, strict=True))
