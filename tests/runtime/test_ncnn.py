"""The engine ncnn: float32 in and out on the threads that were asked for, and nothing else than that."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.ncnn_nets import file_of, net, signature

from edgekit.errors import EdgekitError
from edgekit.runtime import engines
from edgekit.runtime.engines.ncnn import ENGINE, NcnnSession
from edgekit.tensors import Signature, TensorSpec

_, (IMAGE, ROW), (OUTPUT,) = net("two in")
SIGNATURE = signature((IMAGE, ROW), (OUTPUT,))


def opened(threads: int = 1) -> NcnnSession:
    session = engines.open_session("ncnn", file_of("two in"), "ncnn", SIGNATURE, threads)
    assert isinstance(session, NcnnSession)
    return session


def test_outputs_are_fresh_and_inputs_may_be_strided_or_read_only() -> None:
    session = opened()
    image, row = IMAGE.numpy(), ROW.numpy()
    (first,) = session.run([image, row])
    kept = first.copy()
    wide = np.zeros((1, 3, 16, 32), np.float32)
    wide[..., ::2] = image
    fixed = row.copy()
    fixed.flags.writeable = False
    (second,) = session.run([wide[..., ::2], fixed])
    (third,) = session.run([np.asfortranarray(image), row])
    np.testing.assert_array_equal(kept, second)
    np.testing.assert_array_equal(kept, third)
    session.run([image * 2, row])
    np.testing.assert_array_equal(first, kept)
    assert second.flags.writeable


def test_steps_do_what_a_run_does() -> None:
    session = opened()
    assert session.steps is not None
    write, invoke, read = session.steps
    write([IMAGE.numpy(), ROW.numpy()])
    invoke()
    np.testing.assert_array_equal(read()[0], session.run([IMAGE.numpy(), ROW.numpy()])[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_that_were_asked_for(threads: int) -> None:
    session = opened(threads)
    assert session.threads == threads == session._net.opt.num_threads
    np.testing.assert_allclose(session.run([IMAGE.numpy(), ROW.numpy()])[0], OUTPUT.numpy(), atol=1e-5)


def test_it_computes_in_float32_on_the_cpu() -> None:
    """On a Raspberry Pi 5 it would take half precision by itself, which no desktop could have judged."""
    options = opened()._net.opt
    names = [name for name in dir(options) if name.startswith(("use_fp16", "use_bf16", "use_vulkan"))]
    assert len(names) >= 6
    assert not [name for name in names if getattr(options, name)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: Signature(s.inputs[:1], s.outputs), "it has 2 inputs where the signature has 1"),
        (lambda s: Signature((*s.inputs, TensorSpec("more", (1, 2), "float32")), s.outputs), "it has no 'in2'"),
        (lambda s: Signature(s.inputs, (*s.outputs, s.outputs[0])), "it has no 'out1'"),
        (lambda s: Signature((replace(s.inputs[0], shape=(1, 3, 16, 17)), s.inputs[1]), s.outputs), "'x0' is"),
        (lambda s: Signature(s.inputs, (replace(s.outputs[0], shape=(1, 8, 14, 15)),)), "'y0' is"),
        (lambda s: Signature(s.inputs, (replace(s.outputs[0], dtype="int32"),)), "'y0' is int32"),
    ],
)
def test_a_file_that_does_not_fit_its_signature_is_refused(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(EdgekitError, match=message) as caught:
        engines.open_session("ncnn", file_of("two in"), "ncnn", change(SIGNATURE), 1)
    assert (caught.value.code, caught.value.exit_code, bool(caught.value.hint)) == ("EK-RUN", 6, True)


def test_a_closed_session_does_not_run() -> None:
    session = opened()
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="the session is closed"):
        session.run([IMAGE.numpy(), ROW.numpy()])


def test_there_is_no_other_method() -> None:
    with pytest.raises(EdgekitError, match="has no method 'other'"):
        engines.open_session("ncnn", file_of("two in"), "ncnn", SIGNATURE, 1, "other")


def test_boards_are_sent_the_package_alone() -> None:
    """It asks pip for four more; when one of them is imported after all, boards have to be sent it."""
    code = "import sys, ncnn; ncnn.Net(); print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "ncnn" in found and not {"cv2", "portalocker", "requests", "socket", "tqdm"} & set(found)
    assert ENGINE.package == "ncnn"
