"""``.ncnn``: a graph of ncnn's layers by allow-list, whose shapes are known before the library sees a byte.

A file is a zip, stored as it is, of the two that pnnx writes: ``model.param``, text, in which ``Input`` layers say
their shapes, and ``model.bin``, weights one behind the other. ncnn believes both: it allocates what they say, reads
weights by counts in the text, and does not compare a layer's input with what the layer was made for. So every shape is
worked out here, and a layer for which that cannot be done (see `LAYERS`) is refused.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekit.formats import Format
from edgekit.runtime.contents.ncnn import arrangement, convolution, elementwise, matrices
from edgekit.runtime.contents.ncnn.rules import Layer, Numbers, Shape, Weight
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_VALUES, check_memory
from edgekit.runtime.contents.zips import pack, unpack

FORMAT = Format(
    "ncnn",
    engine="ncnn",
    facts="edgekit.pipeline.readers.ncnn",
    title="an ncnn model",
    contents="edgekit.runtime.contents.ncnn",
    interface="edgekit.runtime.given.ncnn",
)

#: What is taken: layers that pnnx writes for models of all kinds, of which the shapes can be told beforehand.
LAYERS = {**arrangement.RULES, **convolution.RULES, **elementwise.RULES, **matrices.RULES}
PARAM, BIN = "model.param", "model.bin"
INPUT = "Input"

_MAGIC = "7767517"
#: Honest models have some hundreds of layers, and a line of text for each.
_MAX_LAYERS, _MAX_TEXT_BYTES, _MAX_BLOBS_OF_LAYER = 10_000, 4 << 20, 1024
#: ncnn reads names into 256 bytes, and numbers into 16: what is longer would be two.
_NAME = re.compile(r"[\w.:/+-]{1,200}", re.ASCII)
_WHOLE, _REAL = re.compile(r"-?\d{1,10}", re.ASCII), re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,2})?", re.ASCII)
_MAX_NUMBER_CHARACTERS, _MOST_WHOLE = 15, (1 << 31) - 1
#: Sizes of a shape: numbers, and axes of inputs.
_TEXT = re.compile(r'"[-\dwhdc,]{1,60}"', re.ASCII)
#: Keys of arrays are written as this, less the key.
_ARRAY = -23300
_MAX_KEY = 29
#: What stands before weights that say their type, and bytes of one of them.
_TYPES = {0: ("float32", 4), 0x01306B47: ("float16", 2)}


@dataclass(frozen=True)
class Held:
    """Weights of a layer, as they are in ``model.bin``."""

    layer: str
    dtype: str
    shape: Shape
    size_bytes: int


@dataclass(frozen=True)
class NcnnModel:
    """One ``.ncnn`` file.

    Attributes:
        layers: In order of execution.
        shapes: Of all blobs by name, outermost axis first.
        weights: Of all layers, in order.
        weight_data: They, as bytes.
    """

    layers: tuple[Layer, ...]
    shapes: Mapping[str, Shape]
    weights: tuple[Held, ...]
    weight_data: bytes

    @property
    def operators(self) -> tuple[str, ...]:
        return tuple(layer.type for layer in self.layers)

    @property
    def inputs(self) -> dict[str, Shape]:
        """Shapes of the inputs, by name."""
        return {layer.outputs[0]: self.shapes[layer.outputs[0]] for layer in self.layers if layer.type == INPUT}

    @property
    def outputs(self) -> dict[str, Shape]:
        """Shapes of what no layer reads."""
        read = {name for layer in self.layers for name in layer.inputs}
        return {name: shape for name, shape in self.shapes.items() if name not in read}

    @property
    def data(self) -> bytes:
        """A new file of what was checked, and nothing else."""
        return packed(self.layers, self.weight_data)


@reading("it is no ncnn model")
def read(data: bytes | memoryview) -> NcnnModel:
    """Read and check an ``.ncnn`` file.

    Raises:
        Refused: It holds a layer that is not on the list.
        Malformed: It is none, or damaged, or its layers do not fit each other or their weights.
    """
    files = unpack(data)
    if list(files) != [PARAM, BIN]:
        raise Malformed(f"it does not hold {PARAM} and {BIN} alone")
    layers = parse(files[PARAM])
    shapes: dict[str, Shape] = {}
    weights: list[Held] = []
    offset, unread = 0, set[str]()
    for layer in layers:
        if not unread.issuperset(layer.inputs) or len(set(layer.inputs)) < len(layer.inputs):
            raise Malformed(f"its layer {shown(layer.name)} reads what is not there, or is read by another")
        unread.difference_update(layer.inputs)
        if layer.type not in LAYERS:
            raise Refused(f"it holds the layer {shown(layer.type)}", "is not on the list of ncnn's layers")
        made, held = _checked(layer, [shapes[name] for name in layer.inputs])
        for name, shape in zip(layer.outputs, made, strict=True):
            if name in shapes:
                raise Malformed(f"two of its layers give {shown(name)}")
            shapes[name] = shape
            unread.add(name)
        for weight in held:
            found, offset = _held(layer, weight, files[BIN], offset)
            weights.append(found)
    if offset != len(files[BIN]):
        raise Malformed(f"its weights have {len(files[BIN]):,} bytes, and its layers read {offset:,}")
    _check_memory(layers, shapes)
    return NcnnModel(layers, shapes, tuple(weights), files[BIN])


def parse(data: bytes) -> tuple[Layer, ...]:
    """The layers of a ``.param`` text, whatever they are.

    Raises:
        Malformed: It is none.
    """
    if len(data) > _MAX_TEXT_BYTES:
        raise Malformed("its text is longer than any model's")
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise Malformed("its text is no text") from error
    if len(lines) < 3 or lines[0] != _MAGIC:
        raise Malformed("its text does not begin as ncnn's do")
    layer_count, blob_count = (_whole(word) for word in lines[1].split())
    if not layer_count == len(lines) - 2 <= _MAX_LAYERS:
        raise Malformed(f"it has {len(lines) - 2:,} layers, and says {layer_count:,}")
    layers = tuple(map(_layer, lines[2:]))
    blobs = {name for layer in layers for name in (*layer.inputs, *layer.outputs)}
    if len(blobs) != blob_count:
        raise Malformed(f"it has {len(blobs):,} blobs, and says {blob_count:,}")
    return layers


def packed(layers: Sequence[Layer], weights: bytes) -> bytes:
    """The ``.ncnn`` file of *layers* with these *weights*; the same give the same bytes."""
    return pack({PARAM: text(layers).encode(), BIN: weights})


def text(layers: Sequence[Layer]) -> str:
    """The ``.param`` text of *layers*."""
    blobs = {name for layer in layers for name in (*layer.inputs, *layer.outputs)}
    lines = [_MAGIC, f"{len(layers)} {len(blobs)}", *(" ".join(_words(layer)) for layer in layers)]
    return "".join(f"{line}\n" for line in lines)


def _words(layer: Layer) -> Iterator[str]:
    yield from (layer.type, layer.name, str(len(layer.inputs)), str(len(layer.outputs)))
    yield from (*layer.inputs, *layer.outputs)
    for key, numbers in sorted(layer.numbers.items()):
        yield (
            f"{_ARRAY - key}={','.join((str(len(numbers)), *numbers))}"
            if key in layer.arrays
            else f"{key}={numbers[0]}"
        )


def _layer(line: str) -> Layer:
    type, name, *words = line.split()
    counts, words = [_whole(word) for word in words[:2]], words[2:]
    if len(counts) < 2 or not all(0 <= count <= _MAX_BLOBS_OF_LAYER for count in counts) or sum(counts) > len(words):
        raise Malformed(f"its layer {shown(name)} has no such inputs and outputs")
    blobs, words = words[: sum(counts)], words[sum(counts) :]
    if not all(map(_NAME.fullmatch, (type, name, *blobs))):
        raise Malformed(f"its layer {shown(name)} has a name that is none")
    numbers: dict[int, tuple[str, ...]] = {}
    arrays: set[int] = set()
    for word in words:
        key, values, is_array = _number(word)
        if key in numbers:
            raise Malformed(f"its layer {shown(name)} says {key} twice")
        numbers[key] = values
        arrays.update([key] if is_array else [])
    return Layer(type, name, tuple(blobs[: counts[0]]), tuple(blobs[counts[0] :]), numbers, frozenset(arrays))


def _number(word: str) -> tuple[int, tuple[str, ...], bool]:
    """Key and values of ``KEY=VALUE``, and whether it is an array."""
    left, _, right = word.partition("=")
    key, values = _whole(left), (right,) if _TEXT.fullmatch(right) else tuple(right.split(","))
    is_array = key <= _ARRAY
    if is_array:
        key, length, values = _ARRAY - key, _whole(values[0]), values[1:]
        if length != len(values):
            raise Malformed(f"it has an array of {len(values)} numbers that says {length}")
    elif len(values) != 1:
        raise Malformed("it has an array of another kind")
    if not 0 <= key <= _MAX_KEY:
        raise Malformed(f"it sets the number {key}, which no layer has")
    for value in values:
        if not is_array and _TEXT.fullmatch(value):
            continue
        if len(value) > _MAX_NUMBER_CHARACTERS or not _REAL.fullmatch(value):
            raise Malformed(f"it has the number {shown(value)}")
        if value.lstrip("-").isdigit() and abs(int(value)) > _MOST_WHOLE:
            raise Malformed(f"it has the number {shown(value)}")
    return key, values, is_array


def _whole(word: str) -> int:
    if not _WHOLE.fullmatch(word):
        raise Malformed(f"it has the number {shown(word)}")
    return int(word)


def _checked(layer: Layer, inputs: Sequence[Shape]) -> tuple[list[Shape], list[Weight]]:
    """The shapes that *layer* gives, and its weights."""
    numbers = Numbers(layer)
    try:
        outputs, weights = LAYERS[layer.type](numbers, inputs, len(layer.outputs))
        numbers.check_all_read()
    except (ValueError, IndexError) as error:
        reason = str(error) if isinstance(error, Malformed) else "its inputs or numbers are none for it"
        raise Malformed(f"its layer {shown(layer.name)}, {layer.type}: {reason}") from error
    for shape in (*outputs, *(weight.shape for weight in weights)):
        if not shape or min(shape) < 1 or len(shape) > 4 or math.prod(shape) > MAX_VALUES:
            raise Malformed(f"its layer {shown(layer.name)} has a tensor of {list(shape)}")
    if len(outputs) != len(layer.outputs):
        raise Malformed(f"its layer {shown(layer.name)} has {len(layer.outputs)} outputs")
    return outputs, weights


def _held(layer: Layer, weight: Weight, data: bytes, offset: int) -> tuple[Held, int]:
    """What is at *offset* in the weights, and where the next are."""
    dtype, itemsize = _TYPES[0]
    if weight.typed:
        if offset + 4 > len(data):
            raise Malformed(f"the weights of its layer {shown(layer.name)} are not there")
        (mark,) = struct.unpack_from("<I", data, offset)
        if mark not in _TYPES:
            raise Malformed(f"the weights of its layer {shown(layer.name)} are of no type that is known")
        dtype, itemsize = _TYPES[mark]
        offset += 4
    size_bytes = math.prod(weight.shape) * itemsize
    end = offset + (size_bytes + 3) // 4 * 4
    if end > len(data):
        raise Malformed(f"the weights of its layer {shown(layer.name)} are not there")
    return Held(layer.type, dtype, weight.shape, size_bytes), end


def _check_memory(layers: Sequence[Layer], shapes: Mapping[str, Shape]) -> None:
    numbers = {name: number for number, name in enumerate(shapes)}
    # Packed for SIMD instructions, the outermost axis is a multiple of 16.
    sizes = [4 * math.prod(shape[1:]) * (-(-shape[0] // 16) * 16) for shape in shapes.values()]
    check_memory([[numbers[name] for name in (*layer.inputs, *layer.outputs)] for layer in layers], sizes)
