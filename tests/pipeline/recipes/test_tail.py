"""What joins a model's outputs from parts stays float in int8, so that every part keeps its own scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from support.torch_nets import INPUTS, Nets

from edgekit.fidelity import compare
from edgekit.pipeline.exporters import executorch, litert
from edgekit.pipeline.recipes.tail import Kind, Operator, tail


def graph(*operators: tuple[Kind | None, str, str]) -> list[Operator]:
    return [Operator(kind, tuple(inputs.split()), tuple(outputs.split())) for kind, inputs, outputs in operators]


@pytest.mark.parametrize(
    ("operators", "outputs", "expected"),
    [
        # Two heads, one of them through a sigmoid, joined: all but the convolutions.
        (
            [(None, "x", "a"), (None, "x", "b"), ("elementwise", "b", "c"), ("join", "a c", "y")],
            "y",
            [2, 3],
        ),
        # No join: nothing, not even the sigmoid.
        ([(None, "x", "a"), ("elementwise", "a", "y")], "y", []),
        # A join in the middle: what reads it is heavy.
        ([(None, "x", "a"), ("join", "x a", "b"), (None, "b", "y")], "y", []),
        # Layout and arithmetic behind the join belong to it.
        ([(None, "x", "a"), ("join", "a x", "b"), ("layout", "b", "c"), ("elementwise", "c", "y")], "y", [1, 2, 3]),
        # A join of joins, as of several levels of a pyramid.
        ([(None, "x", "a"), ("join", "a x", "b"), ("layout", "b", "c"), ("join", "c a", "y")], "y", [1, 2, 3]),
        # What a convolution reads besides is no tail, or half of the network would be one.
        (
            [(None, "x", "a"), ("elementwise", "a", "b"), (None, "b", "c"), ("join", "b c", "y")],
            "y",
            [3],
        ),
        # A part that is an output itself is in int8 for its own sake.
        ([(None, "x", "a"), ("elementwise", "a", "b"), ("join", "b a", "y")], "y b", [2]),
        # A split has to end in the tail with all of its parts.
        ([("layout", "x", "a b"), (None, "a", "c"), ("join", "b c", "y")], "y", [2]),
    ],
)
def test_tail(operators: Sequence[tuple[Kind | None, str, str]], outputs: str, expected: list[int]) -> None:
    assert tail(graph(*operators), outputs.split()) == expected


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_boxes_and_scores_in_one_output_keep_every_column(
    nets: Nets, format: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("detector") / f"model.{format}")
    source, calibration = nets.spec("detector"), nets.calibration("detector")
    if format == "pte":
        executorch.export(source=source, recipe="int8", calibration=calibration, output=path)
    else:
        litert.convert(source=source, output=f"{path}.float")
        litert.quantize(base=f"{path}.float", recipe="int8", calibration=calibration, output=path)
    found = compare({"output": nets.reference("detector")}, {"output": nets.run("detector", path)})
    assert found.fault(20) is None and found.worst.snr_db > 20, found


def test_the_detector_has_columns_of_unlike_size(nets: Nets) -> None:
    """Without which the test before proves nothing: one scale for all of it leaves no score."""
    reference = nets.reference("detector")
    assert reference.shape[1:] == (7, 36) and INPUTS["detector"].shape[2] == 48
    step = np.abs(reference).max() / 255
    assert compare({"output": reference}, {"output": np.round(reference / step) * step}).lost is not None
    assert isinstance(nets.source("detector").module, torch.nn.Module)
