"""The ExecuTorch core on real files. `test_native_build.py` runs these once more with the sanitizers.

Nothing here may import torch.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.native_models import (
    CONV,
    DECODE,
    DTYPES_SIGNATURE,
    ENCODE,
    NONZERO,
    OPEN,
    ROLLED,
    SCALARS_SIGNATURE,
    SQUARE,
    TINY,
    WIDE,
    NativeModels,
    random_inputs,
)

from edgekit.errors import EdgekitError
from edgekit.runtime import native
from edgekit.runtime.engines.base import WrongShape
from edgekit.runtime.engines.executorch import CoreSession
from edgekit.runtime.native.binding import load
from edgekit.runtime.native.build import build_here
from edgekit.tensors import Signature, TensorSpec

#: Numbers of element types.
FLOAT, INT8 = 6, 1


@dataclass
class Opener:
    """Opens sessions on the core and closes them after the test."""

    core: Path
    models: NativeModels
    sessions: list[CoreSession]

    def __call__(
        self, file: str | bytes, signature: Signature, threads: int = 1, method: str = "forward", trace: bool = False
    ) -> CoreSession:
        data = self.models[file] if isinstance(file, str) else file
        self.sessions.append(CoreSession(self.core, data, signature, threads, method, trace=trace))
        return self.sessions[-1]


@pytest.fixture
def opened(native_models: NativeModels) -> Iterator[Opener]:
    opener = Opener(build_here(), native_models, [])
    yield opener
    for session in opener.sessions:
        session.close()


@pytest.fixture
def library() -> Any:
    return load(build_here())


ROW = np.arange(4, dtype=np.float32)[None]
IMAGE = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)


def refused(opened: Opener, *arguments: Any, **more: Any) -> str:
    with pytest.raises(EdgekitError) as caught:
        opened(*arguments, **more)
    assert caught.value.code == "EK-RUN"
    assert "\n" not in caught.value.message
    return caught.value.message


def test_the_outputs_are_those_of_the_float_model(opened: Opener) -> None:
    for file in ("conv", "delegated"):
        session = opened(file, CONV)
        outputs = np.concatenate([session.run([image[None]])[0] for image in opened.models.images])
        np.testing.assert_allclose(outputs, opened.models.scores, atol=1e-6)
        assert outputs.std(0).min() > 0.01


@pytest.mark.parametrize("file", ["conv", "delegated"])
def test_a_hundred_runs_give_the_first_output(opened: Opener, file: str) -> None:
    """Planned inputs share memory with intermediate values: set once, they go wrong from the second run on."""
    session = opened(file, CONV)
    image = opened.models.images[2:3]
    first = session.run([image])[0]
    assert session.run_one is not None
    for _ in range(50):
        np.testing.assert_array_equal(session.run([image])[0], first)
        np.testing.assert_array_equal(session.run_one(image), first)


def test_every_element_type_goes_in_and_comes_out(opened: Opener) -> None:
    inputs = random_inputs(DTYPES_SIGNATURE)
    session = opened("dtypes", DTYPES_SIGNATURE)
    assert session.run_one is None
    for _ in range(2):
        outputs = session.run(inputs)
        for given, output, spec in zip(inputs, outputs, DTYPES_SIGNATURE.outputs, strict=True):
            assert output.dtype == np.dtype(spec.dtype)
            np.testing.assert_array_equal(output, ~given if given.dtype == np.bool_ else given + given)


def test_scalars_are_arrays_without_dimensions(opened: Opener) -> None:
    session = opened("scalars", SCALARS_SIGNATURE)
    x = np.array([[2.0, 4.0]], np.float32)
    result, number = session.run([x, np.array(3), np.array(0.5), np.array(True)])
    np.testing.assert_allclose(result, [[2, 1]])
    assert (number.shape, number.dtype, int(number)) == ((), np.int64, 3)


def test_a_scalar_that_differs_from_the_exported_one_is_refused(opened: Opener) -> None:
    session = opened("scalars", SCALARS_SIGNATURE)
    x = np.array([[2.0, 4.0]], np.float32)
    with pytest.raises(EdgekitError, match=r"should have the same value.* 3 and 4") as caught:
        session.run([x, np.array(4), np.array(0.5), np.array(True)])
    assert caught.value.code == "EK-RUN"
    np.testing.assert_allclose(session.run([x, np.array(3), np.array(0.5), np.array(True)])[0], [[2, 1]])


def test_a_number_is_a_tensor_without_dimensions(opened: Opener) -> None:
    session = opened("zero_d", SQUARE)
    assert session.run_one is not None
    np.testing.assert_array_equal(session.run_one(np.array(5, np.float32)), np.array(25, np.float32))


def test_each_method_of_a_file_is_a_model(opened: Opener) -> None:
    encode = opened("methods", ENCODE, method="encode")
    decode = opened("methods", DECODE, method="decode")
    (code,) = encode.run([ROW])
    np.testing.assert_array_equal(code, [[0, 0.5, 1]])
    np.testing.assert_array_equal(decode.run([code])[0], [[0, 1, 2, 0]])


def test_a_missing_method_is_refused_with_those_there_are(opened: Opener) -> None:
    message = refused(opened, "methods", ENCODE)
    assert message.endswith("the file has no method 'forward', it has decode, encode")


@pytest.mark.parametrize("file", ["channels_last", "unplanned"])
def test_layouts_of_memory_are_the_models_own_business(opened: Opener, file: str) -> None:
    session = opened(file, ROLLED)
    for image in (IMAGE, IMAGE[:, ::-1], np.asfortranarray(IMAGE)):
        output = session.run([image])[0]
        np.testing.assert_array_equal(output, np.roll(image, 1, 3) + 1)
        assert output.flags.c_contiguous


def test_an_output_that_changes_its_shape_is_refused_and_the_next_run_works(opened: Opener) -> None:
    session = opened("nonzero", NONZERO)
    full = np.ones(4, np.float32)
    with pytest.raises(EdgekitError, match=r"output 0 is \[1, 1\] this time, not \[4, 1\]"):
        session.run([np.array([0, 7, 0, 0], np.float32)])
    np.testing.assert_array_equal(session.run([full])[0], [[0], [1], [2], [3]])


def steps(batch: int, length: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs of ``open.pte``, and what it makes of them."""
    random = np.random.default_rng(batch * 10 + length)
    x, y = (random.normal(size=(batch, length, size)).astype(np.float32) for size in (3, 1))
    return [x, y], [x * 2 + y, x.sum(1)]


def test_open_sizes_may_be_others_in_every_run(opened: Opener) -> None:
    session = opened("open", OPEN)
    for batch, length in ((4, 6), (1, 1), (4, 1), (1, 6), (2, 5), (2, 5), (4, 6), (3, 2)):
        inputs, expected = steps(batch, length)
        found = session.run(inputs)
        assert [array.shape for array in found] == [array.shape for array in expected]
        for array, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(array, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [(5, 6, 3), (4, 7, 3), (1, 24, 3), (4, 6, 4), (4, 6), (0, 6, 3), (4, 6, 3, 1)],
)
def test_a_size_out_of_bounds_is_refused_and_the_next_run_works(opened: Opener, shape: tuple[int, ...]) -> None:
    session = opened("open", OPEN)
    with pytest.raises(EdgekitError) as caught:
        session.run([np.zeros(shape, np.float32), np.zeros((4, 6, 1), np.float32)])
    assert f"input 0 cannot be {list(shape)}, the method takes at most [4, 6, 3]" in caught.value.message
    assert caught.value.code == "EK-RUN" and "\n" not in caught.value.message
    inputs, expected = steps(2, 4)
    np.testing.assert_allclose(session.run(inputs)[0], expected[0], rtol=1e-5)


def test_fixed_sizes_stay_fixed(opened: Opener) -> None:
    session = opened("tiny", TINY)
    row = np.ones((1, 16), np.float32)
    expected = session.run([row])[0]
    for shape in ((1, 15), (2, 16), (1, 8)):
        with pytest.raises(EdgekitError) as caught:
            session.run([np.ones(shape, np.float32)])
        assert caught.value.code == "EK-RUN"
    np.testing.assert_array_equal(session.run([row])[0], expected)


def test_the_quick_way_leaves_resized_inputs_to_the_other(native_models: NativeModels, opened: Opener) -> None:
    signature = Signature((TensorSpec("x", (4, 6, 3), "float32"),), (TensorSpec("y", (4, 6, 3), "float32"),))
    session = opened("open_one", signature)
    assert session.run_one is not None
    full, short = np.ones((4, 6, 3), np.float32), np.ones((1, 2, 3), np.float32)
    np.testing.assert_array_equal(session.run_one(full), full * 2)
    np.testing.assert_array_equal(session.run([short])[0], short * 2)
    for array in (full, short):
        with pytest.raises(WrongShape):
            session.run_one(array)
    np.testing.assert_array_equal(session.run([full])[0], full * 2)


def test_outputs_belong_to_the_caller(opened: Opener) -> None:
    session = opened("conv", CONV)
    first = session.run([opened.models.images[:1]])[0]
    kept = first.copy()
    session.run([opened.models.images[1:2]])
    session.close()
    np.testing.assert_array_equal(first, kept)


def test_a_missing_operator_is_named(opened: Opener) -> None:
    message = refused(opened, opened.models["zero_d"].replace(b"aten::mul", b"aten::xul"), SQUARE)
    assert "Missing operator: [0] aten::xul.out" in message


def test_where_executorch_gives_up_the_process_lives_on(opened: Opener) -> None:
    session = opened("confused", SQUARE)
    with pytest.raises(EdgekitError, match=r"ExecuTorch gave up.*not a Scalar"):
        session.run([np.array(1, np.float32)])
    with pytest.raises(EdgekitError, match="in an earlier run"):
        session.run([np.array(1, np.float32)])
    session.close()
    assert opened("zero_d", SQUARE, threads=2).threads == 2


@pytest.mark.parametrize("wrong", ["x", "y"])
def test_a_file_that_does_not_fit_the_signature_is_refused(opened: Opener, wrong: str) -> None:
    fitting = {spec.name: spec for spec in (*TINY.inputs, *TINY.outputs)}
    fitting[wrong] = TensorSpec(wrong, (1, 99), "int8")
    message = refused(opened, "tiny", Signature((fitting["x"],), (fitting["y"],)))
    assert f"{wrong!r} is float32[1, {'16' if wrong == 'x' else '3'}], not int8[1, 99]" in message
    assert "it has 1 inputs and 1 outputs" in refused(opened, "tiny", DTYPES_SIGNATURE)


def test_a_truncated_file_is_refused_wherever_it_ends(opened: Opener) -> None:
    whole = opened.models["conv"]
    for length in (0, 1, 63, 64, 1000, len(whole) // 2, len(whole) - 1):
        refused(opened, whole[:length], CONV)


def test_a_file_may_lie_at_any_address(opened: Opener, library: Any) -> None:
    whole = opened.models["conv"]
    memory = ctypes.create_string_buffer(len(whole) + 64)
    start = -ctypes.addressof(memory) % 16 + 1
    ctypes.memmove(ctypes.addressof(memory) + start, whole, len(whole))
    place = ctypes.cast(ctypes.addressof(memory) + start, ctypes.c_char_p)
    handle = library.ek_open(place, len(whole), None, 1, 0)
    assert handle
    library.ek_close(handle)


@pytest.mark.parametrize(
    ("file", "signature", "needed"),
    [("delegated", CONV, False), ("tiny", TINY, False), ("conv", CONV, False), ("wide", WIDE, True)],
)
def test_a_file_is_kept_only_while_something_in_it_is_used(
    opened: Opener, library: Any, file: str, signature: Signature, needed: bool
) -> None:
    """Delegates pack their weights; what is outside of them and large is used where it lies."""
    session, inputs = opened(file, signature), random_inputs(signature)
    expected = session.run(inputs)[0]
    data = opened.models[file]
    memory = ctypes.create_string_buffer(len(data) + 16)
    place = ctypes.addressof(memory) + -ctypes.addressof(memory) % 16
    ctypes.memmove(place, data, len(data))
    handle = library.ek_open(ctypes.cast(place, ctypes.c_char_p), len(data), None, 1, 0)
    assert handle, library.ek_error()
    assert bool(library.ek_needs_data(handle)) == needed
    if not needed:
        ctypes.memset(place, 0xFF, len(data))
    found = np.empty(expected.shape, np.float32)
    for _ in range(2):
        assert library.ek_set_input(handle, 0, inputs[0].ctypes.data, inputs[0].nbytes, FLOAT) == 0
        assert library.ek_run(handle) == 0
        assert library.ek_get_output(handle, 0, found.ctypes.data, found.nbytes, FLOAT) == 0
        np.testing.assert_array_equal(found, expected)
    assert library.ek_method_name(handle, 0) == b"forward"
    library.ek_close(handle)


_POOL = """\
import sys
from pathlib import Path
from edgekit.runtime.engines.base import WrongShape
from edgekit.runtime.engines.executorch import CoreSession
from support.native_models import CONV, TINY
core, conv, delegated, tiny = map(Path, sys.argv[1:])
def opened(file, signature, threads):
    return CoreSession(core, file.read_bytes(), signature, threads, "forward")
first, second = opened(conv, CONV, 2), opened(delegated, CONV, 1)
print(first.threads, second.threads)
first.close()
first.close()
third = opened(tiny, TINY, 1)
print(third.threads)
second.close()
third.close()
print(opened(tiny, TINY, 1).threads)
"""


def test_the_pool_is_resized_only_while_no_model_is_open(native_models: NativeModels, tmp_path: Path) -> None:
    """In a process of its own: other tests' models may be open in this one."""
    files = [tmp_path / name for name in ("conv", "delegated", "tiny")]
    for file in files:
        file.write_bytes(native_models[file.name])
    command = [sys.executable, "-c", _POOL, str(build_here()), *map(str, files)]
    tests = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert done.stdout.split() == ["2", "2", "2", "1"]


_TWO_COPIES = """\
import ctypes, sys
from pathlib import Path
from edgekit.runtime.engines.base import WrongShape
from edgekit.runtime.engines.executorch import CoreSession
from edgekit.tensors import Signature
for path in sys.argv[1:] * 2:
    try:
        CoreSession(Path(path), bytes(100), Signature((), ()), 1, "forward")
    except Exception as error:
        print(error.code)
log = ctypes.CDLL("libexecutorch.so")._ZN10executorch7runtime20pal_emit_log_messageEm18et_pal_log_level_tPKcS3_mS3_m
text, number = ctypes.c_char_p, ctypes.c_uint64
log.argtypes = [number, ctypes.c_int, text, text, number, text, number]
log(0, ord("E"), b"file", b"function", 1, b"heard", 5)
"""


def test_two_copies_in_one_process_do_not_pass_messages_in_a_circle(library: Any, tmp_path: Path) -> None:
    copies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        copies.append(shutil.copy(build_here(), tmp_path / name))
    command = [sys.executable, "-c", _TWO_COPIES, *copies]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["EK-RUN"] * 4
    assert done.stderr.count("heard") == 1


def test_a_closed_session_says_so(opened: Opener) -> None:
    session = opened("tiny", TINY)
    session.close()
    with pytest.raises(EdgekitError, match="closed"):
        session.run([np.zeros((1, 16), np.float32)])


def test_events_are_traced_for_each_run(opened: Opener) -> None:
    session = opened("conv", CONV, trace=True)
    sizes = []
    for runs in (1, 1, 3):
        for _ in range(runs):
            session.run([opened.models.images[:1]])
        trace = session.take_trace()
        assert b"native_call_convolution.out" in trace
        sizes.append(len(trace))
    assert sizes[0] > sizes[1], "the first one has loading, too"
    assert sizes[2] > 2 * sizes[1]


def test_without_a_trace_there_is_none_to_take(opened: Opener) -> None:
    with pytest.raises(EdgekitError, match="without a trace"):
        opened("tiny", TINY).take_trace()


class Raw:
    """A model opened through the bare C interface."""

    def __init__(self, library: Any, data: bytes):
        self.library, self.data = library, data
        self.handle = library.ek_open(data, len(data), None, 1, 0)
        assert self.handle, library.ek_error()
        self.buffer = (ctypes.c_float * 16)(*range(16))

    def failure(self, failed: int) -> str:
        assert failed == 1
        return str(self.library.ek_error().decode())


@pytest.fixture
def raw(library: Any, native_models: NativeModels) -> Iterator[Raw]:
    model = Raw(library, native_models["tiny"])
    yield model
    library.ek_close(model.handle)


def test_the_c_interface_refuses_buffers_that_do_not_fit(raw: Raw) -> None:
    set_input, get_output = raw.library.ek_set_input, raw.library.ek_get_output
    handle, buffer = raw.handle, raw.buffer
    assert raw.failure(set_input(handle, 0, buffer, 60, FLOAT)) == "60 bytes were given, the model's are 64"
    assert raw.failure(set_input(handle, 0, buffer, 64, INT8)) == "element type 1 was given, the model's is 6"
    assert raw.failure(set_input(handle, 0, None, 64, FLOAT)) == "no buffer was given"
    assert raw.failure(get_output(handle, 0, buffer, 64, FLOAT)) == "64 bytes were given, the model's are 12"
    for index in (-1, 1):
        assert raw.failure(set_input(handle, index, buffer, 64, FLOAT)).startswith("there is no input or output")
        assert raw.failure(get_output(handle, index, buffer, 12, FLOAT)).startswith("there is no input or output")


def test_the_c_interface_wants_inputs_anew_for_every_run(raw: Raw) -> None:
    assert raw.failure(raw.library.ek_run(raw.handle)) == "input 0 was not set since the last run"
    for _ in range(2):
        assert raw.library.ek_set_input(raw.handle, 0, raw.buffer, 64, FLOAT) == 0
        assert raw.library.ek_run(raw.handle) == 0
        assert raw.failure(raw.library.ek_run(raw.handle)) == "input 0 was not set since the last run"


def test_both_ways_into_the_core_agree(raw: Raw, opened: Opener) -> None:
    given = np.array(raw.buffer, np.float32)[None]
    output = np.empty((1, 3), np.float32)
    assert raw.library.ek_set_input(raw.handle, 0, raw.buffer, 64, FLOAT) == 0
    assert raw.library.ek_run(raw.handle) == 0
    assert raw.library.ek_get_output(raw.handle, 0, output.ctypes.data, 12, FLOAT) == 0
    np.testing.assert_array_equal(opened("tiny", TINY).run([given])[0], output)


def test_the_c_interface_resizes(library: Any, native_models: NativeModels) -> None:
    model = Raw(library, native_models["open"])
    resize, sizes = library.ek_resize_input, (ctypes.c_int64 * 16)(2, 3, 3)
    assert model.failure(resize(model.handle, 2, sizes, 3)) == "there is no input or output 2, only 2"
    assert model.failure(resize(model.handle, -1, sizes, 3)) == "there is no input or output -1, only 2"
    assert model.failure(resize(model.handle, 0, sizes, -1)) == "a shape of -1 dimensions was given"
    assert model.failure(resize(model.handle, 0, sizes, 17)) == "a shape of 17 dimensions was given"
    assert model.failure(resize(model.handle, 0, None, 3)) == "no shape was given"
    assert "at most [4, 6, 3]" in model.failure(resize(model.handle, 0, (ctypes.c_int64 * 3)(2, 1 << 40, 3), 3))
    assert model.failure(resize(None, 0, sizes, 3)) == "the model is closed"
    (x, y), expected = steps(2, 3)
    assert resize(model.handle, 0, sizes, 3) == 0
    assert resize(model.handle, 1, (ctypes.c_int64 * 3)(2, 3, 1), 3) == 0
    assert library.ek_set_input(model.handle, 0, x.ctypes.data, x.nbytes, FLOAT) == 0
    assert library.ek_set_input(model.handle, 1, y.ctypes.data, y.nbytes, FLOAT) == 0
    assert library.ek_run(model.handle) == 0
    for index, right in enumerate(expected):
        output = np.empty_like(right)
        assert library.ek_get_output(model.handle, index, output.ctypes.data, output.nbytes, FLOAT) == 0
        np.testing.assert_allclose(output, right, rtol=1e-5, atol=1e-6)
    library.ek_close(model.handle)


def test_a_number_cannot_be_resized(library: Any, native_models: NativeModels) -> None:
    model = Raw(library, native_models["scalars"])
    sizes = (ctypes.c_int64 * 1)(1)
    assert (
        model.failure(library.ek_resize_input(model.handle, 1, sizes, 0)) == "input 1 is a number, which has no shape"
    )
    library.ek_close(model.handle)


def test_the_c_interface_converts_layouts(library: Any, native_models: NativeModels) -> None:
    model = Raw(library, native_models["channels_last"])
    image, output = IMAGE.copy(), np.empty_like(IMAGE)
    assert library.ek_set_input(model.handle, 0, image.ctypes.data, image.nbytes, FLOAT) == 0
    assert library.ek_run(model.handle) == 0
    assert library.ek_get_output(model.handle, 0, output.ctypes.data, output.nbytes, FLOAT) == 0
    np.testing.assert_array_equal(output, np.roll(IMAGE, 1, 3) + 1)
    library.ek_close(model.handle)


def test_a_model_that_is_not_there_is_an_error_not_a_crash(library: Any) -> None:
    assert library.ek_run(None) == library.ek_run_in_place(None) == 1
    assert library.ek_set_input(None, 0, None, 0, FLOAT) == library.ek_get_output(None, 0, None, 0, FLOAT) == 1
    assert library.ek_describe_input(None, 0, None) == library.ek_describe_output(None, 0, None) == 1
    assert library.ek_input_count(None) == library.ek_output_count(None) == library.ek_method_count(None) == 0
    assert library.ek_method_name(None, 0) is None
    assert library.ek_take_trace(None, None, None) == 1
    library.ek_close(None)
    assert not library.ek_open(None, 1000, None, 1, 0)
    assert not library.ek_open_file(b"/no/such/file.pte", None, 1, 0)
    assert library.ek_error() == b"/no/such/file.pte: No such file or directory"


def test_fewer_than_one_thread_is_refused(library: Any, native_models: NativeModels) -> None:
    data = native_models["tiny"]
    assert not library.ek_open(data, len(data), None, 0, 0)
    assert library.ek_error() == b"threads must be at least 1"


def test_the_core_names_the_executorch_it_belongs_to(library: Any) -> None:
    assert library.ek_executorch_version().decode() == native.EXECUTORCH
