"""What `edgekit.load`'s model adds to a call of LiteRT's raw interpreter, interleaved: numpy in to numpy out, checked.

Run with ``pytest -s -n 0 tests/benchmarks/test_call_overhead.py``; prints microseconds per call. The same for
ExecuTorch is in ``test_executorch_core.py``.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
from small_models import IMAGE, SmallModels
from support.mobilenet import MOBILENET, mobilenet_v2

from edgekit.runtime.engines import open_session
from edgekit.runtime.model import Model
from edgekit.tensors import Signature, TensorSpec

#: A perceptron of 808 parameters, for which LiteRT takes a microsecond: nothing hides what is added to it.
TINY = Signature((TensorSpec("x", (1, 16), "float32"),), (TensorSpec("y", (1, 8), "float32"),))


def microseconds(call: Callable[[], object], calls: int) -> float:
    began = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - began) / calls / 1000


def compare(file: bytes, signature: Signature, rounds: int, calls: int) -> None:
    from ai_edge_litert.interpreter import Interpreter

    array = np.random.default_rng(0).normal(size=signature.inputs[0].shape).astype(np.float32)
    model = Model(open_session("litert", file, "tflite", signature, 1), signature, variant="v", engine="litert")
    raw = Interpreter(model_content=file, num_threads=1)
    raw.allocate_tensors()
    inward, outward = raw.get_input_details()[0]["index"], raw.get_output_details()[0]["index"]

    def bare() -> np.ndarray:
        raw.set_tensor(inward, array)
        raw.invoke()
        output: np.ndarray = raw.get_tensor(outward)
        return output

    np.testing.assert_array_equal(bare(), model(array))
    # Which of the two comes first changes from round to round: the second finds the caches warm.
    pairs = []
    for index in range(rounds):
        if index % 2:
            theirs = microseconds(bare, calls)
            pairs.append((theirs, microseconds(lambda: model(array), calls)))
        else:
            ours = microseconds(lambda: model(array), calls)
            pairs.append((microseconds(bare, calls), ours))
    theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    added = statistics.median(own - other for other, own in pairs)
    ratio = statistics.median(own / other for other, own in pairs)
    print(f"\nraw interpreter {theirs:.2f} us, edgekit {ours:.2f} us: {added:+.2f} us a call, ratio {ratio:.4f}")


def test_a_tiny_network() -> None:
    import litert_torch
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
    assert sum(each.numel() for each in net.parameters()) == 808
    with contextlib.redirect_stdout(io.StringIO()):
        file = bytes(litert_torch.convert(net, (torch.randn(1, 16),)).model_content())
    compare(file, TINY, 800, 300)


def test_a_small_network(small_models: SmallModels) -> None:
    compare(small_models.files["image.tflite"], IMAGE, 400, 300)


@pytest.fixture(scope="module")
def mobilenet() -> bytes:
    import litert_torch
    import torch

    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(litert_torch.convert(mobilenet_v2(), (torch.randn(1, 3, 224, 224),)).model_content())


def test_mobilenet(mobilenet: bytes) -> None:
    compare(mobilenet, MOBILENET, 300, 1)
