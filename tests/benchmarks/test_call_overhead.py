"""What `edgekit.load`'s model adds to a call of the raw interpreter, interleaved.

Run with ``pytest -s -n 0 tests/benchmarks/test_call_overhead.py``; prints microseconds per call.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from small_models import IMAGE, SmallModels

from edgekit.runtime.engines import open_session
from edgekit.runtime.model import Model

ROUNDS, CALLS = 200, 300


def microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - began) / CALLS / 1000


def test_litert(small_models: SmallModels) -> None:
    from ai_edge_litert.interpreter import Interpreter

    array = small_models.images[:1].copy()
    file = small_models.files["image.tflite"]
    model = Model(open_session("litert", file, "tflite", IMAGE, 1), IMAGE, variant="image", engine="litert")
    raw = Interpreter(model_content=file, num_threads=1)
    raw.allocate_tensors()
    inward, outward = raw.get_input_details()[0]["index"], raw.get_output_details()[0]["index"]

    def bare() -> None:
        raw.set_tensor(inward, array)
        raw.invoke()
        raw.get_tensor(outward)

    pairs = [(microseconds(bare), microseconds(lambda: model(array))) for _ in range(ROUNDS)]
    theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"\nraw interpreter {theirs:.2f} us, edgekit {ours:.2f} us: {ours - theirs:+.2f} us a call")
