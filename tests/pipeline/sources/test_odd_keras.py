"""Keras models and SavedModels that an exported file cannot do the same as, and those that only look like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.keras_facts import tensorflow_facts, torch_facts
from support.odd_keras import ROWS

REFUSED = {
    "stateful RNN": "changes its variables 'memory/rnn_state', 'memory/rnn_state_1' from call to call",
    "assigned variable": "assigned variable changes its variable 'past' from call to call",
    "counted calls": "counted calls changes its variable 'past' at every call, in a way that cannot be exported",
    "random": "random gives different outputs for the same input",
    "generator": "noise.py:generator gives different outputs for the same input",
    "no_generator": "noise.py:no_generator gives different outputs for the same input",
    "one number": "has the shape (): its first axis is not that of one sample at a time",
    "samples last": "has the shape (6, None): its first axis",
    "samples split": "has the shape [2, 3] for one sample, where [1, 3] is due",
    "an axis that is not there": "an axis that is not there.keras cannot be loaded: ",
    "an output of no layer": "an output of no layer.keras cannot be loaded: ",
    "inputs swapped": "the data's inputs are a, b; three.keras takes z, a",
    "inputs in part": "the data's inputs are z, b; three.keras takes z, a",
}

SPREAD = ROWS[0] / (ROWS[0].max() - ROWS[0].min())
TAKEN = {
    "dropout": ([None], [ROWS[0]]),
    "normalised by the batch": ([None], [SPREAD]),
    "normalised by the batch, saved": (["y"], [SPREAD]),
    "one number, saved": (["y"], [ROWS[0].max()]),
    "no axis of samples, saved": (["y"], [ROWS[0, :3]]),
    "optimizer slots": (["y"], [None]),
    "odd names, saved": (["a/b", "file", "labels"], [-ROWS[0], ROWS[0], ROWS[0, :3]]),
    "dict": (["p3.box", "p3.score", "p4.box", "p4.score"], [None] * 4),
    "list of dicts": (["output_0.labels", "output_1.labels"], [None] * 2),
    "inputs numbered": ([None], [-5 * ROWS[0]]),
    "inputs by name": ([None], [-5 * ROWS[0]]),
}


@pytest.mark.parametrize("case", ["dict", "optimizer slots"])
def test_other_last_bits_of_the_weights_move_the_outputs_by_as_much(case: str) -> None:
    assert 100 < odd(case)["rounding_db"] < 160


def test_keras_on_torch_sorts_outer_dicts_only() -> None:
    """When this fails, `_order_nested_dicts` can go."""
    assert torch_facts()["stock_order"] == [0, 1, 2]


def test_nested_dicts_have_one_order_on_both_backends() -> None:
    assert torch_facts()["dict"] == odd("dict")["outputs"]


def odd(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = tensorflow_facts()["odd"][name]
    return facts


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_can_do_is_said_of_the_model(name: str) -> None:
    error = odd(name)
    assert error["code"] in ("EK-SOURCE", "EK-DATA")
    assert REFUSED[name] in error["message"] and "\n" not in error["message"] and error["hint"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_model_gives_for_each_sample_what_it_gives_for_it_alone(name: str) -> None:
    facts = odd(name)
    names, values = TAKEN[name]
    assert [
        None if expected is None else found for found, expected in zip(facts["outputs"], names, strict=True)
    ] == names
    for found, expected in zip(facts["first"], values, strict=True):
        if expected is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-5)
