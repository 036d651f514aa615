"""What is said of arrays that a model does not take, where it takes one shape, and where it takes several."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.runtime.checked import checked
from edgekit.tensors import TensorSpec

IDS = TensorSpec("ids", (1, 20), "int32")


@pytest.mark.parametrize(
    ("given", "fixed", "says", "cure"),
    [
        (np.zeros((1, 20), np.int64), True, "is int64[1, 20], the model takes int32[1, 20]", "model.prepare"),
        (np.zeros((4, 5), np.int64), False, "is int64[4, 5], the model takes int32", "array.astype('int32')"),
        ([[1, 2]], False, "is a list, the model takes a numpy array int32", "numpy.asarray"),
    ],
)
def test_a_shape_is_named_only_where_it_is_the_only_one(given: object, fixed: bool, says: str, cure: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(given, IDS, np.dtype("int32"), fixed)
    assert caught.value.message.endswith(says) and cure in str(caught.value.hint)
