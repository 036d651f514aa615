"""Check inputs for a model file as it is, and what an engine of this machine gives for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.engines import ENGINES
from edgekit.errors import EdgekitError, UsageError
from edgekit.formats import FORMATS, Format
from edgekit.runtime.given.interface import Chosen, FileTensor, Interface, Method
from edgekit.runtime.prepare import ready_inputs
from edgekit.runtime.preprocess import read_arrays
from edgekit.runtime.remote import Server
from edgekit.tensors import Signature, TensorSpec

#: So many samples, unless they take more memory than that.
_SAMPLES, _MOST_BYTES = 4, 64 << 20
#: A file of sample inputs may hold so much.
_MOST_SAMPLE_BYTES = 256 << 20
_ARRAYS = (".npy", ".npz")

Samples = tuple[list[np.ndarray], ...]


@dataclass(frozen=True)
class ReferenceRun:
    """What an engine of this machine gave.

    Attributes:
        outputs: What the model gives.
        engine: Name of the engine; empty where none ran.
        reference: Outputs by name, samples first; empty likewise.
    """

    outputs: tuple[TensorSpec, ...]
    engine: str = ""
    reference: Mapping[str, np.ndarray] = field(default_factory=dict)


def sample_bytes(path: Path) -> bytes:
    """The contents of a file of sample inputs. Raises `UsageError`: there is none, or it has no arrays."""
    if path.suffix.lower() not in _ARRAYS:
        raise UsageError("EK-ARGUMENT", f"{path} is no .npz or .npy file", "numpy.savez writes inputs by name")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError("EK-MISSING-FILE", f"{path} cannot be read: {error.strerror}", "name a .npz file") from error


def sizes(path: Path | None, method: Method) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs with open axes, from the arrays at *path* that have so many axes."""
    if path is None or path.suffix.lower() not in _ARRAYS:
        return {}
    arrays = read_arrays(path, _MOST_SAMPLE_BYTES)
    if len(method.inputs) == len(arrays) == 1:
        arrays = {method.inputs[0].name: next(iter(arrays.values()))}
    found = {}
    for tensor in method.inputs:
        array = arrays.get(tensor.name)
        if array is None or all(isinstance(axis, int) for axis in tensor.shape):
            continue
        fits = len(array.shape) == len(tensor.shape) and all(
            not isinstance(axis, int) or axis == size for axis, size in zip(tensor.shape, array.shape, strict=True)
        )
        if fits:
            found[tensor.name] = array.shape
    return found


def samples(specs: Sequence[TensorSpec], found: Interface, path: Path | None) -> Samples:
    """Check inputs, for each sample one array per input: that at *path*, or random ones, which are always the same.

    A file that keeps values gets one: what it gives for a second depends on the first.
    """
    if path is not None:
        arrays = ready_inputs(path, Signature(tuple(specs), ()), None)
        return ([arrays[spec.name] for spec in specs],)
    each = sum(spec.size_bytes for spec in specs)
    count = 1 if found.is_stateful else max(1, min(_SAMPLES, _MOST_BYTES // max(1, each)))
    generator = np.random.default_rng(0)
    pairs = list(zip(specs, found.main.inputs, strict=True))
    return tuple([_random(generator, spec, tensor) for spec, tensor in pairs] for _ in range(count))


def stacked(specs: Sequence[TensorSpec], samples: Samples) -> dict[str, np.ndarray]:
    """*samples* by the names of *specs*, one behind the other."""
    columns = zip(specs, zip(*samples, strict=True), strict=True)
    return {spec.name: np.concatenate([np.atleast_1d(array) for array in column]) for spec, column in columns}


def run(data: bytes, format: str, chosen: Chosen, samples: Samples, *, reference: bool) -> ReferenceRun:
    """*samples* through the first engine of this machine that loads *format*, in a process of its own.

    Args:
        reference: Whether it is asked where the outputs' shapes are known anyway.

    Raises:
        EdgekitError: The shapes are not known, and no engine can tell.
    """
    if chosen.outputs is not None and not reference:
        return ReferenceRun(chosen.outputs)
    engine = _engine(format)
    if engine is None:
        if chosen.outputs is not None:
            return ReferenceRun(chosen.outputs)
        own = ENGINES[FORMATS[format].engine]
        message = f"the file does not say how large its outputs are, and {own.name}, which would, is not installed"
        raise EdgekitError("EK-ENGINE", message, own.install_hint)
    try:
        with Server.start(engine) as server:
            outputs = chosen.outputs
            if outputs is None:
                measured = server.measure_outputs(data, format, chosen.inputs, samples[0])
                outputs = chosen.named(measured)
            session = server.open(data, format, Signature(chosen.inputs, outputs), 1)
            rows = tuple(session.run(sample) for sample in samples)
            return ReferenceRun(outputs, engine, stacked(outputs, rows))
    except EdgekitError as error:
        if chosen.outputs is not None:
            return ReferenceRun(chosen.outputs)  # whoever runs the file next says what is wrong
        hint = "it has to run on its check inputs: choose other sizes with --shape, or inputs with --sample FILE.npz"
        raise EdgekitError(error.code, error.message, hint, error.log) from error


def engines_of(format: Format) -> tuple[str, ...]:
    """Names of the engines that run files of *format* on a CPU, the format's own first."""
    able = [each for each in ENGINES if format.name in each.formats and not each.in_browser]
    names = (each.name for each in able if each.accelerator == "cpu")
    return tuple(sorted(names, key=lambda name: name != format.engine))


def _engine(format: str) -> str | None:
    return next((name for name in engines_of(FORMATS[format]) if ENGINES[name].version() is not None), None)


def _random(generator: np.random.Generator, spec: TensorSpec, tensor: FileTensor) -> np.ndarray:
    """Numbers like those of normalized data; every byte; 0 and 1 where a larger whole number may be no index."""
    dtype = np.dtype(spec.dtype)
    if tensor.only is not None:
        return np.full(spec.shape, tensor.only, dtype)
    if dtype.kind == "f":
        return np.asarray(generator.standard_normal(spec.shape), dtype)
    if dtype.kind in "iu" and (tensor.quantization is not None or dtype.itemsize == 1):
        bounds = np.iinfo(dtype)
        return np.asarray(generator.integers(bounds.min, bounds.max, spec.shape, dtype, endpoint=True))
    return np.asarray(generator.integers(0, 2, spec.shape), dtype)
