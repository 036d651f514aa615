"""ONNX Runtime: ``.onnx`` files on the ``onnxruntime`` package, on the CPU.

The package asks for three more (flatbuffers, packaging, protobuf), which only its tools import: devices are sent it
alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.names import distinct
from edgekit.runtime.children import UNTOLD
from edgekit.runtime.engines.base import Engine, Platform, Session, Steps, check_shapes, failure, misfit, only_forward
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature, TensorSpec

#: ONNX Runtime's names of element types that are not numpy's.
_DTYPES = {"float": "float32", "double": "float64"}
#: Log nothing but what ends the process: errors come as exceptions.
_FATAL = 4


class OnnxRuntime(Engine):
    name = "onnxruntime"
    formats = ("onnx",)
    #: Symbol versions in the wheels of onnxruntime 1.32.0.
    platforms = (Platform("x86_64", "2.28"), Platform("aarch64", "2.28"))
    package = "onnxruntime"
    install_hint = 'pip install "edgekit[onnx]"'
    mark = 5

    def version(self) -> str | None:
        return package_version("onnxruntime-gpu") or package_version("onnxruntime")

    def import_library(self) -> None:
        library()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return OnnxSession(data, signature, threads)


class OnnxSession:
    """A `Session` with a thread pool of its own: *threads* for one operator, one operator at a time.

    All graph optimizations are on, and waiting threads spin: ONNX Runtime's own defaults. The model is handed over as
    bytes, so that tensors in files beside it are refused (checked with 1.32.0).
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    #: One call does it all: it takes the caller's arrays as they are, and returns fresh ones.
    steps: Steps | None = None

    def __init__(self, data: bytes, signature: Signature, threads: int):
        onnxruntime = library()
        self.threads = threads
        try:
            session = onnxruntime.InferenceSession(data, options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # the only base that its exceptions have in common
            raise failure(OnnxRuntime.name, "load the model", error) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self._inputs, self._outputs = names_in_file(signature)
        named = {tensor.name for tensor in (*inputs, *outputs)}
        if not signature.outputs or not named.issuperset((*self._inputs, *self._outputs)):
            # Of a file that was given: its names are no names for a bundle, or one is there on both sides.
            self._inputs, self._outputs = (tuple(each.name for each in side) for side in (inputs, outputs))
        fit(OnnxRuntime.name, "inputs", signature.inputs, self._inputs, inputs)
        if signature.outputs:
            fit(OnnxRuntime.name, "outputs", signature.outputs, self._outputs, outputs)
        # What the file says of its outputs' shapes is not always so: ONNX Runtime warns, and gives what it computes.
        self._checked = signature.outputs
        self._session = session

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self._session is None:
            raise EdgekitError("EK-RUN", f"{OnnxRuntime.name} failed to run the model: the session is closed")
        try:
            outputs: list[np.ndarray] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        except Exception as error:  # see above
            raise failure(OnnxRuntime.name, "run the model", error) from error
        if self._checked:
            check_shapes(OnnxRuntime.name, self._checked, outputs)
        return outputs

    def close(self) -> None:
        self._session = None


def library() -> Any:
    """The package, imported so that it keeps to itself what it runs."""
    for name, value in UNTOLD.items():
        os.environ.setdefault(name, value)
    import onnxruntime

    return onnxruntime


def options(threads: int) -> Any:
    """What every session is opened with."""
    options = library().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    return options


def names_in_file(signature: Signature) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the inputs and outputs of *signature* are called in its ``.onnx``: there, every name is used once."""
    names = distinct(spec.name for spec in (*signature.inputs, *signature.outputs))
    return names[: len(signature.inputs)], names[len(signature.inputs) :]


def fit(engine: str, side: str, specs: tuple[TensorSpec, ...], names: tuple[str, ...], found: Sequence[Any]) -> None:
    """Compare the file's tensors called *names* with the signature's; raises `EdgekitError`.

    Axes that the file leaves open, which have names there or none, may have any size.
    """
    if len(found) != len(specs) or len(names) != len(specs):
        raise misfit(engine, f"it has {len(found)} {side} where the signature has {len(specs)}")
    by_name = {tensor.name: tensor for tensor in found}
    for spec, name in zip(specs, names, strict=True):
        tensor = by_name.get(name)
        if tensor is None:
            raise misfit(engine, f"it has no {name!r} among its {side}")
        kind = tensor.type.removeprefix("tensor(").removesuffix(")")
        dtype, shape = _DTYPES.get(kind, kind), tuple(tensor.shape)
        fits = len(shape) == len(spec.shape) and all(
            size == axis or not isinstance(axis, int) for size, axis in zip(spec.shape, shape, strict=True)
        )
        if not fits or dtype != spec.dtype:
            raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")


ENGINE = OnnxRuntime()
