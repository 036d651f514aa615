"""Methods of ``.pte`` files that leave sizes open: run at both bounds and between, or refused with what fixes them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from support import open_models
from torch.export import Dim

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.executorch import export
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.runtime.engines import open_session
from edgekit.runtime.engines.executorch import BindingSession
from edgekit.tensors import TensorSpec

IMAGE = (TensorSpec("x", (1, 3, 16, 16), "float32"),)
STEPS = (TensorSpec("x", (1, 24, 6), "float32"),)
MASKED = (*STEPS, TensorSpec("mask", (1, 24), "float32"))
Open = dict[str, Any]


def opened(batch: int = 1, length: tuple[int, int] | None = None) -> Open:
    """For up to so many samples, and lengths in these bounds."""
    bounds = length and list(length)
    return {
        "batch": [1, batch] if batch > 1 else None,
        "length": bounds,
        "axes": {"x": 1, "mask": 1} if bounds else None,
    }


def exported(path: Path, factory: str, inputs: tuple[TensorSpec, ...], sizes: Open, **how: Any) -> SourceSpec:
    """*factory* as ``.pte`` at *path*, with the method ``open``."""
    if sizes["axes"]:
        sizes["axes"] = {spec.name: 1 for spec in inputs}
    spec = SourceSpec("torch", open_models.__file__, factory, inputs=inputs)
    batch = (sizes["batch"] or [1, 1])[1]
    bucket = {"name": "open", "batch": batch, "source": spec.to_json(), "open": sizes}
    recipe = {"recipe": "fp32", "calibration": None, **how}
    export(source=spec.to_json(), output=str(path), buckets=[bucket], **recipe)
    return spec


def answer(spec: SourceSpec, arrays: list[np.ndarray]) -> np.ndarray:
    """The one output of the float model for *arrays* of whatever size."""
    pairs = list(zip(spec.inputs, arrays, strict=True))
    inputs = tuple(replace(each, shape=(1, *array.shape[1:])) for each, array in pairs)
    (output,) = open_source(replace(spec, inputs=inputs)).predict({each.name: array for each, array in pairs}).values()
    return output


def worst(path: Path, spec: SourceSpec, sizes: Open, lengths: tuple[int, ...] = ()) -> float:
    """How far the method is off at any of these sizes, as a share of what the model gives at most."""
    batch = (sizes["batch"] or [1, 1])[1]
    source = open_source(spec)
    session = open_session("executorch", path.read_bytes(), "pte", source.signature.batched(batch), 1, "open")
    random, found = np.random.default_rng(0), 0.0
    try:
        for count, length in product(sorted({1, (batch + 1) // 2, batch}), lengths or (None,)):
            shapes = [(count, *each.shape[1:]) for each in spec.inputs]
            if length is not None:
                shapes = [(count, length, *shape[2:]) for shape in shapes]
            arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
            if len(arrays) > 1:
                arrays[1] = np.ones_like(arrays[1])
            expected = answer(spec, arrays)
            (measured,) = session.run(arrays)
            assert measured.shape == expected.shape
            found = max(found, float(np.abs(measured - expected).max() / np.abs(expected).max()))
    finally:
        session.close()
    return found


@pytest.mark.parametrize("most", [16, pytest.param(64, marks=pytest.mark.slow)])
def test_the_upper_bound_of_the_batch_size_is_taken(tmp_path: Path, most: int) -> None:
    path, sizes = tmp_path / "image.pte", opened(most)
    spec = exported(path, "Image", IMAGE, sizes)
    assert worst(path, spec, sizes) < 1e-5
    facts = inspect_file(path, "pte")
    assert not any("convolution" in name or "mm" in name for name in facts.undelegated_ops)


@pytest.mark.slow
def test_the_stock_converter_takes_less_than_it_is_asked_for() -> None:
    """When this fails, `restore_bounds` can go."""
    program = torch.export.export(
        open_models.Image().eval(), (torch.rand(4, 3, 16, 16),), dynamic_shapes=({0: Dim("batch", min=1, max=64)},)
    )
    manager = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    plan = manager.to_executorch().executorch_program.execution_plan[0]
    assert plan.values[plan.inputs[0]].val.sizes[0] == 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factory", "inputs", "sizes", "lengths"),
    [
        ("Recurrent", (TensorSpec("x", (1, 4, 6), "float32"),), opened(8), ()),
        ("Attention", MASKED, opened(8, (2, 24)), (2, 3, 13, 24)),
        ("Pooled", STEPS, opened(1, (4, 24)), tuple(range(4, 25))),
        ("Normed", STEPS, opened(6, (3, 24)), (3, 4, 13, 24)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_leaves_its_sizes_open_is_right_at_all(
    tmp_path: Path, factory: str, inputs: tuple[TensorSpec, ...], sizes: Open, lengths: tuple[int, ...]
) -> None:
    path = tmp_path / "model.pte"
    spec = exported(path, factory, inputs, sizes)
    assert worst(path, spec, sizes, lengths) < 1e-5
    parameters = sum(each.numel() for each in open_source(spec).torch_module().parameters())
    assert sum(each.size_bytes for each in inspect_file(path, "pte").constants) < 1.2 * 4 * parameters + 2048


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "most"), [("fp16", 0.01), ("int8-dynamic", 0.05)])
def test_recipes_leave_sizes_open(tmp_path: Path, recipe: str, most: float) -> None:
    path, sizes = tmp_path / "model.pte", opened(8, (8, 24))
    spec = exported(path, "Pooled", STEPS, sizes, recipe=recipe)
    assert worst(path, spec, sizes, (8, 9, 24)) < most


@pytest.mark.slow
def test_torchs_binding_takes_open_sizes_and_refuses_others(tmp_path: Path) -> None:
    path, sizes = tmp_path / "model.pte", opened(4, (8, 24))
    spec = exported(path, "Pooled", STEPS, sizes)
    assert worst(path, spec, sizes, (8, 9, 16, 23, 24)) < 1e-5  # on the core
    session = BindingSession(path.read_bytes(), open_source(spec).signature.batched(4), 1, "open")
    for shape in ((4, 24, 6), (1, 8, 6), (3, 11, 6), (4, 24, 6)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(session.run([x])[0], answer(spec, [x]), atol=1e-5)
    for shape in ((5, 8, 6), (1, 25, 6), (1, 96, 6), (24, 6)):
        with pytest.raises(Exception, match="at most") as caught:
            session.run([np.zeros(shape, np.float32)])
        assert caught.value.code == "EK-RUN"  # type: ignore[attr-defined]
    session.close()


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("Added", "does not leave the length (axis 1 of 'x') open"),
        ("Branching", "another way unless 11 <= length"),
        ("Cut", "what it computes from sizes, min(), has no equivalent there"),
        ("Scaled", "what it computes from sizes, a fraction or a scale factor, has no equivalent there"),
        pytest.param("Recurrent", "fixes the length (axis 1 of 'x') when it is exported", marks=pytest.mark.slow),
    ],
)
def test_what_fixes_its_length_is_refused_in_a_line(tmp_path: Path, factory: str, says: str) -> None:
    path = tmp_path / "model.pte"
    with pytest.raises(ConversionError) as caught:
        exported(path, factory, STEPS, opened(1, (3, 24)))
    assert says in caught.value.message and "\n" not in caught.value.message
    assert "draft_export" not in caught.value.message and len(caught.value.message) < 250
    assert caught.value.code == "EK-UNSUPPORTED" and "in a list of [model.buckets]" in str(caught.value.hint)
    assert not path.exists()


@pytest.mark.parametrize(("factory", "is_range"), [("Branching", True), ("Rounded", False)])
def test_a_range_is_advised_where_there_is_one(tmp_path: Path, factory: str, is_range: bool) -> None:
    with pytest.raises(ConversionError, match="another way unless") as caught:
        exported(tmp_path / "model.pte", factory, STEPS, opened(1, (3, 24)))
    assert ("let the range keep to that" in str(caught.value.hint)) is is_range
    assert "in a list of [model.buckets]" in str(caught.value.hint)
