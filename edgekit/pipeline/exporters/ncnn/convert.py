"""pnnx on a traced module, and what it wrote as one file.

pnnx is run as a program: its Python package only finds it, and would import torch to trace.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.tracing import example_inputs
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.recipes import RECIPES
from edgekit.runtime import children
from edgekit.runtime.contents import Malformed, ncnn
from edgekit.runtime.contents.ncnn.rules import Layer
from edgekit.runtime.engines.ncnn import ENGINE
from edgekit.tensors import Signature, TensorSpec

_HINT = "write it with other operators, or build another format: edgekit targets NAME lists them"
#: How pnnx's own test of its files gives an input: which axis is the samples', 233 for none.
_SAMPLES = r'ex\.input\("{}", ncnn\.Mat\(\w+\.numpy\(\), batch_index=(\d+)\)'
_NONE = 233
#: Keys of an input's sizes, by how many it has.
_SIZES = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}


def export(*, source: Mapping[str, Any], recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Convert a source model to an ``.ncnn`` whose inputs are called ``in0``, ``in1``, … and outputs ``out0``, ….

    Args:
        source: A `SourceSpec` as JSON.
        recipe: ``fp32`` or ``fp16``: how weights are stored.
        calibration: Not used.
        output: The file to write.

    Returns:
        The export record (see `edgekit.pipeline.exporters.exported.record`).

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: the source has no PyTorch form, other numbers than float32 go in or out, or
            ncnn has no layer for an operator of it.
    """
    opened = open_source(SourceSpec.from_json(source))
    for spec in (*opened.signature.inputs, *opened.signature.outputs):
        if spec.dtype != "float32":
            reason = f"an .ncnn takes and gives float32 alone, and {spec.name!r} is {spec.dtype}"
            raise ConversionError("EK-UNSUPPORTED", reason, "convert it in the program that calls the model")
    emit(Step("exporting"))
    made = converted(opened.torch_module(), example_inputs(opened), opened.signature, half=RECIPES[recipe].is_half)
    Path(output).write_bytes(made)
    return record(("torch", "pnnx"), {ENGINE.name: ENGINE.packages[0].least})


def converted(
    module: torch.nn.Module, examples: tuple[torch.Tensor, ...], signature: Signature, *, half: bool = False
) -> bytes:
    """The ``.ncnn`` file of *module*, which takes *examples* as *signature* says; errors as `export`."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # a whole layer of a transformer would be one operator
    try:
        with torch.no_grad():
            traced = torch.jit.trace(module, examples, check_trace=False)  # the source is in evaluation mode
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    with tempfile.TemporaryDirectory() as folder:
        traced.save(str(Path(folder, "model.pt")))
        return _file(*_converted(Path(folder), examples, half), signature)


def _converted(folder: Path, examples: Sequence[torch.Tensor], half: bool) -> tuple[bytes, bytes, str]:
    """What pnnx makes of ``model.pt`` in *folder*: text, weights, and its own test of them."""
    package = find_spec("pnnx")
    assert package is not None and package.origin is not None  # `Exporter.check_installed` has looked
    shapes = ",".join(f"[{','.join(map(str, example.shape))}]f32" for example in examples)
    command = [str(Path(package.origin).with_name("pnnx")), "model.pt", f"inputshape={shapes}", f"fp16={int(half)}"]
    # One thread, as exports run side by side.
    done = children.run(command, cwd=folder, capture_output=True, env=children.environment(OMP_NUM_THREADS="1"))
    found = [folder / name for name in ("model.ncnn.param", "model.ncnn.bin", "model_ncnn.py")]
    if done.returncode != 0 or not all(path.exists() for path in found):
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise ConversionError("EK-UNSUPPORTED", f"pnnx does not take this model: {said[:200]}", _HINT)
    text, weights, test = (path.read_bytes() for path in found)
    return text, weights, test.decode(errors="replace")


def _file(text: bytes, weights: bytes, test: str, signature: Signature) -> bytes:
    """The ``.ncnn`` file, in which inputs say their shapes."""
    try:
        layers = ncnn.parse(text)
    except Malformed as error:
        raise _refused(str(error)) from error
    _check_layers(layers)
    inputs = {f"in{index}": spec for index, spec in enumerate(signature.inputs)}
    sized = [_sized(layer, inputs, test) for layer in layers]
    made = ncnn.packed(sized, weights)
    try:
        found = ncnn.read(made)
    except Malformed as error:
        raise _refused(str(error)) from error
    wanted = [*inputs, *(f"out{index}" for index in range(len(signature.outputs)))]
    if missing := [name for name in wanted if name not in {**found.inputs, **found.outputs}]:
        raise _refused(f"it has no {missing[0]}")
    return made


def _check_layers(layers: Iterable[Layer]) -> None:
    others = dict.fromkeys(layer.type for layer in layers if layer.type not in ncnn.LAYERS)
    # What pnnx could not convert keeps the name that it has in PyTorch; arithmetic around it is pnnx's own.
    if left := sorted((name for name in others if re.search(r"[.:]", name)), key=lambda name: "pnnx." in name):
        raise ConversionError("EK-UNSUPPORTED", f"ncnn has no layer for {left[0]}", _HINT)
    if others:
        reason = f"ncnn's layer {next(iter(others))} is not on the list of those that an .ncnn may hold"
        raise ConversionError("EK-UNSUPPORTED", reason, _HINT)


def _sized(layer: Layer, inputs: Mapping[str, TensorSpec], test: str) -> Layer:
    """*layer* with its shape, if it is an input."""
    spec = inputs.get(layer.outputs[0]) if layer.type == ncnn.INPUT else None
    if spec is None:
        return layer
    found = re.search(_SAMPLES.format(layer.outputs[0]), test)
    shape = list(spec.shape)
    axis = _NONE if found is None else int(found[1])
    if axis != _NONE and (axis >= len(shape) or shape.pop(axis) != 1):
        raise _refused(f"it takes axis {axis} of {spec.name!r} for the samples'")
    if len(shape) not in _SIZES:
        raise _refused(f"{spec.name!r} has {len(spec.shape)} axes")
    numbers = {key: (str(size),) for key, size in zip(_SIZES[len(shape)], shape, strict=True)}
    return replace(layer, numbers=numbers, arrays=frozenset())


def _refused(reason: str) -> ConversionError:
    return ConversionError("EK-UNSUPPORTED", f"an .ncnn cannot hold what pnnx makes of this model: {reason}", _HINT)
