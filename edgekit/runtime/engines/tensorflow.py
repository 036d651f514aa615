"""TensorFlow: ``.keras`` files as one graph of fixed shapes (``tf.function``), on the CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import Engine, Session, SteppedSession, Steps, failure, misfit, only_forward
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature, TensorSpec

#: What Keras and TensorFlow raise for a file that they cannot use, by experience.
_REFUSALS = (AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError)


class TensorFlow(Engine):
    name = "tensorflow"
    formats = ("keras",)
    install_hint = 'pip install "edgekit[keras]"'
    mark = 8

    def version(self) -> str | None:
        """The version of TensorFlow, whichever of its distributions is installed; None without Keras."""
        tensorflow = package_version("tensorflow") or package_version("tensorflow-cpu")
        return tensorflow if package_version("keras") else None

    def import_library(self) -> None:
        _libraries()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return TensorFlowSession(data, signature, threads)


class TensorFlowSession(SteppedSession):
    """A `Session` on a concrete function: the model's graph, traced once for the signature's shapes.

    TensorFlow has one number of threads for the whole process, which is set for good when it starts. `threads` is what
    it has: *threads* for one operator, one operator at a time, if this is the first session of the process.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    _engine = "tensorflow"

    def __init__(self, data: bytes, signature: Signature, threads: int):
        tf, keras = _libraries()
        self.threads = _start(tf, threads)
        self._tf = tf
        try:
            model = _load(keras, data)
            _fit("inputs", signature.inputs, model.inputs)
            self._function = _traced(tf, keras, model, signature)
        except (*_REFUSALS, tf.errors.OpError) as error:
            raise failure(TensorFlow.name, "load the model", error) from error
        _fit("outputs", signature.outputs, self._function.outputs)
        self._model = model  # a function does not keep its variables alive
        self._tensors: list[Any] = []
        self._results: list[Any] = []
        self.steps = Steps(self._write, self._invoke, self._read)

    def close(self) -> None:
        self._function = self._model = self.steps = None
        self._tensors = self._results = []

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        self._tensors = [self._tf.constant(array) for array in inputs]  # a copy, whatever the array's strides

    def _invoke(self) -> None:
        try:
            self._results = self._function(*self._tensors)
        except self._tf.errors.OpError as error:
            raise failure(TensorFlow.name, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        return [result.numpy() for result in self._results]  # copies


def _libraries() -> tuple[Any, Any]:
    """TensorFlow and Keras, on TensorFlow. Raises `EdgekitError` ``EK-ENGINE``: Keras was imported with another backend
    before."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no more than errors on standard error
    # Keras reads it when it is imported, and never again.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow

    if keras.backend.backend() != "tensorflow":
        message = f"Keras runs on {keras.backend.backend()} in this process"
        raise EdgekitError("EK-ENGINE", message, "run it in a process of its own")
    return tensorflow, keras


def _start(tf: Any, threads: int) -> int:
    """Start TensorFlow on the CPU with *threads*, unless it has started, and return how many it has."""
    try:
        tf.config.set_visible_devices([], "GPU")  # it would take one, and its memory
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # it has started
        pass
    tf.config.list_logical_devices()  # starts it
    return tf.config.threading.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))


def _load(keras: Any, data: bytes) -> Any:
    """The model in *data*, which `edgekit.runtime.contents` checked, taking and returning flat lists."""
    with tempfile.TemporaryDirectory(prefix="edgekit-keras-") as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(data)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return keras.Model(list(model.inputs), list(model.outputs))


def _traced(tf: Any, keras: Any, model: Any, signature: Signature) -> Any:
    """The model as a function from tensors in the signature's order to a list of tensors."""

    def call(*tensors: Any) -> list[Any]:
        return list(keras.tree.flatten(model(list(tensors), training=False)))

    specs = [tf.TensorSpec(spec.shape, spec.dtype) for spec in signature.inputs]
    with tf.device("/CPU:0"):
        return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()


def _fit(side: str, specs: tuple[TensorSpec, ...], found: Sequence[Any]) -> None:
    """Compare the model's tensors with the signature's, in order. Its batch may be open."""
    if len(found) != len(specs):
        raise misfit(TensorFlow.name, f"it has {len(found)} {side} where the signature has {len(specs)}")
    for spec, tensor in zip(specs, found, strict=True):
        dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
        shape = tuple(tensor.shape)
        same = shape[1:] == spec.shape[1:] and shape[:1] in (spec.shape[:1], (None,))
        if not same or dtype != spec.dtype:
            shown = f"{dtype}{['?' if size is None else size for size in shape]}"
            raise misfit(TensorFlow.name, f"{spec.name!r} is {shown}, not {spec.dtype}{list(spec.shape)}")


ENGINE = TensorFlow()
