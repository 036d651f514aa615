"""Specs and signatures."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.tensors import Signature, TensorSpec, grouped


def test_json_round_trip() -> None:
    signature = Signature(
        (TensorSpec("a", (1, 2, 3), "float32"), TensorSpec("b", (1,), "int64")), (TensorSpec("c", (1, 0), "bool"),)
    )
    assert Signature.from_json(signature.to_json()) == signature


def test_samples_are_grouped_and_the_last_group_is_filled_up() -> None:
    one = Signature((TensorSpec("a", (1, 2), "float32"),), (TensorSpec("b", (1,), "int64"),))
    assert one.batched(1) == one
    three = one.batched(3)
    assert (three.inputs[0].shape, three.outputs[0].shape, three.inputs[0].name) == ((3, 2), (3,), "a")
    samples = [[np.full((1, 2), number, np.float32)] for number in range(4)]
    first, last = (group[0] for group in grouped(samples, 3))
    assert first.shape == last.shape == (3, 2)
    assert first[:, 0].tolist() == [0, 1, 2] and last[:, 0].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 3), "f4"), ((1, 2), "f8"), ((1, 2), ">f4"), ((2,), "f4"), ((2, 1), "f4")]
)
def test_check_names_both_sides(shape: tuple[int, ...], dtype: str) -> None:
    spec = TensorSpec("image", (1, 2), "float32")
    spec.check(np.zeros((1, 2), "f4"))
    with pytest.raises(UsageError, match=r"'image' .*takes float32\[1, 2\]") as caught:
        spec.check(np.zeros(shape, dtype))
    assert caught.value.code == "EK-INPUT"
