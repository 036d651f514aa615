"""What factories draw is kept; one that makes another model at every call is refused, in every framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.drawn import drawn_once
from edgekit.tensors import TensorSpec

_ROW = (TensorSpec("x", (1, 4), "float32"),)
_FACTORIES = {
    "jax": """\
import jax.numpy as jnp

def make():
    return lambda x: x @ jnp.ones((4, next(SIZES)))
""",
    "keras": """\
import keras

def make():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(next(SIZES))])
""",
    "tensorflow": """\
import tensorflow as tf

class Net(tf.Module):
    def __init__(self):
        self.weight = tf.Variable(tf.ones((4, next(SIZES))))

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def __call__(self, x):
        return x @ self.weight

def make():
    return Net()
""",
}


def test_the_first_arrays_are_kept_to_the_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kinds = (np.float32, ml_dtypes.bfloat16, np.float16, np.int8, np.bool_)
    first, later = ([random.normal(size=(3, 2)).astype(kind) for kind in kinds] for _ in range(2))
    first.append(np.asarray(np.float32(2)))
    later.append(np.asarray(np.float32(3)))
    path = tmp_path / "made.npz"
    assert drawn_once(first, path, "make()") is first
    kept = drawn_once([np.array(each, order="F") for each in later], path, "make()")
    assert [each.dtype for each in kept] == [each.dtype for each in first]
    assert all(np.array_equal(mine, own) for mine, own in zip(kept, first, strict=True))


def test_arrays_of_another_type_or_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    drawn_once([np.ones(3, np.float32)], path, "make()")
    for other in ([np.ones(3, np.float16)], [np.ones(3, np.float32)] * 2, [np.ones(4, np.float32)]):
        with pytest.raises(UsageError, match=r"make\(\) makes a model of other parts at every call"):
            drawn_once(other, path, "make()")


@pytest.mark.parametrize("kind", _FACTORIES)
def test_a_factory_that_draws_what_its_model_is_made_of_is_refused(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("SIZES = iter((3, 5))\n\n" + _FACTORIES[kind])
    suffix = ".weights.h5" if kind == "keras" else ".npz"
    spec = SourceSpec(kind, str(file), "make", made=str(tmp_path / f"made{suffix}"))
    spec = replace(spec, inputs=_ROW) if kind == "jax" else spec
    open_source(spec)
    with pytest.raises(UsageError, match="a model of other parts at every call") as caught:
        open_source(spec)
    assert caught.value.code == "EK-SOURCE" and caught.value.hint
