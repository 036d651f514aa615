"""``.ncnn``: blobs, which have no names that say anything, and no samples."""

from __future__ import annotations

from edgekit.runtime.contents.ncnn import read
from edgekit.runtime.given.interface import FileTensor, Interface, Method, interface
from edgekit.runtime.given.precision import Stored, recipe_of


def describe(data: bytes | memoryview) -> Interface:
    """The interface of an ``.ncnn`` file. Raises as `edgekit.runtime.contents.check`."""
    found = read(data)
    inputs, outputs = (
        tuple(FileTensor(name, (1, *shape), "float32") for name, shape in side.items())
        for side in (found.inputs, found.outputs)
    )
    constants = [Stored(held.dtype, held.size_bytes) for held in found.weights]
    return interface(Method(inputs, outputs), recipe=recipe_of(constants, False))
