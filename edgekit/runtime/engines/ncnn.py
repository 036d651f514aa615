"""ncnn: ``.ncnn`` files on the ``ncnn`` package, on the CPU.

The package asks for four more (tqdm, requests, portalocker, numpy), which only its model zoo imports: devices are sent
it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.runtime.contents import ncnn as contents
from edgekit.runtime.engines.base import (
    Engine,
    Package,
    Platform,
    Session,
    SteppedSession,
    Steps,
    failure,
    misfit,
    only_forward,
)
from edgekit.runtime.installed import package_version
from edgekit.tensors import Signature, TensorSpec

_VERSION = "1.0.20261020"
#: What an option has to be, so that a file gives the same numbers on every machine: by default ncnn computes in half
#: precision on CPUs that can (a Raspberry Pi 5), and in bfloat16 on others, and no desktop could judge the result.
_PRECISION = (
    "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage",
)  # fmt: skip


class Ncnn(Engine):
    name = "ncnn"
    formats = ("ncnn",)
    #: Of the wheels, by their tags.
    platforms = (Platform("x86_64", "2.24"), Platform("aarch64", "2.24"))
    install_hint = 'pip install "edgekit[ncnn]"'
    package = "ncnn"
    packages = (
        Package("ncnn", "ncnn", _VERSION, _VERSION, "running .ncnn"),
        Package("pnnx", "ncnn", "20261020", "20261020", ".ncnn from PyTorch and Keras models"),
    )

    def version(self) -> str | None:
        return package_version("ncnn")

    def import_library(self) -> None:
        import ncnn  # noqa: F401

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        only_forward(self.name, method)
        return NcnnSession(data, signature, threads)


class NcnnSession(SteppedSession):
    """A `Session` on the CPU, in float32, whatever weights are stored in; what no layer reads any more is freed."""

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    _engine = Ncnn.name

    def __init__(self, data: bytes, signature: Signature, threads: int):
        import ncnn

        model = contents.read(data)
        fit(signature.inputs, "in", model.inputs)
        fit(signature.outputs, "out", model.outputs)
        self.threads = threads
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.lightmode = True
        options.use_vulkan_compute = False
        for name in _PRECISION:
            setattr(options, name, False)
        if self._net.load_param_mem(contents.text(model.layers)) != 0:
            raise failure(self._engine, "load the model", RuntimeError("it does not take the layers"))
        self._net.load_model_mem(model.weight_data)
        self._arrays = [np.zeros(model.inputs[f"in{index}"], np.float32) for index in range(len(signature.inputs))]
        self._shapes = [spec.shape for spec in signature.outputs]
        self._make = ncnn.Mat
        self._given: list[Any] = []
        self._results: list[Any] = []
        self.steps = Steps(self._write, self._invoke, self._read)

    def close(self) -> None:
        if self.steps is not None:
            self.steps = None
            self._given, self._results = [], []
            self._net.clear()

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        for held, array in zip(self._arrays, inputs, strict=True):
            held[...] = array.reshape(held.shape)
        # Copied: ncnn lays out channels in another way, and some layers work in place.
        self._given = [self._make(held).clone() for held in self._arrays]

    def _invoke(self) -> None:
        run = self._net.create_extractor()
        codes = [run.input(f"in{index}", given) for index, given in enumerate(self._given)]
        found = [run.extract(f"out{index}") for index in range(len(self._shapes))]
        if any((*codes, *(code for code, _ in found))):
            raise failure(self._engine, "run the model", RuntimeError("a layer cannot do with what it is given"))
        self._results = [result for _, result in found]

    def _read(self) -> list[np.ndarray]:
        outputs = [np.array(result) for result in self._results]
        if [output.size for output in outputs] != [int(np.prod(shape)) for shape in self._shapes]:
            shown = ", ".join(f"{output.dtype}{list(output.shape)}" for output in outputs)
            raise misfit(self._engine, f"its outputs are {shown}")
        return [output.reshape(shape) for output, shape in zip(outputs, self._shapes, strict=True)]


def fit(specs: tuple[TensorSpec, ...], stem: str, found: dict[str, tuple[int, ...]]) -> None:
    """Compare a file's inputs or outputs with the signature's. They are called ``in0``, ``in1``, …

    An output that is no output in the file is one that a layer reads as well.

    Raises:
        EdgekitError: ``EK-RUN``: they are not those.
    """
    names = [f"{stem}{index}" for index in range(len(specs))]
    if lacking := [name for name in names if name not in found]:
        raise misfit(Ncnn.name, f"it has no {lacking[0]!r}")
    if stem == "in" and len(found) > len(specs):
        raise misfit(Ncnn.name, f"it has {len(found)} inputs where the signature has {len(specs)}")
    for spec, name in zip(specs, names, strict=True):
        if spec.dtype != "float32":
            raise misfit(Ncnn.name, f"{spec.name!r} is {spec.dtype}, and it takes and gives float32 alone")
        shape = found[name]
        if tuple(size for size in spec.shape if size > 1) != tuple(size for size in shape if size > 1):
            raise misfit(Ncnn.name, f"{spec.name!r} is {list(shape)} without samples, not {list(spec.shape[1:])}")


ENGINE = Ncnn()
