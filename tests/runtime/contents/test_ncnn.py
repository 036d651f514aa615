"""``.ncnn`` files: the reader knows every shape before ncnn does, and refuses what would not be sound."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from time import process_time

import ncnn
import numpy as np
import pytest
from support.ncnn_mutants import mutant
from support.ncnn_nets import NETS, file_of, net, signature

from edgekit.errors import BundleError, EdgekitError
from edgekit.runtime import contents, engines
from edgekit.runtime.contents import Malformed, Refused
from edgekit.runtime.contents import ncnn as reader
from edgekit.runtime.contents.zips import pack, unpack
from edgekit.runtime.remote import Server
from edgekit.tensors import Signature, TensorSpec

#: ``EDGEKIT_MUTANTS=200`` tries so many of each network.
_MUTANTS = int(os.environ.get("EDGEKIT_MUTANTS", "25"))
_LONGEST_S = 2.0


@pytest.mark.parametrize("name", NETS)
def test_shapes_are_those_that_ncnn_gives(name: str) -> None:
    """Of every blob: what a rule here got wrong would be read out of bounds there."""
    found = reader.read(file_of(name))
    loaded = ncnn.Net()
    loaded.opt.num_threads, loaded.opt.lightmode = 1, False
    loaded.opt.use_fp16_storage = loaded.opt.use_bf16_storage = False
    assert loaded.load_param_mem(reader.text(found.layers)) == 0
    loaded.load_model_mem(found.weight_data)
    run = loaded.create_extractor()
    arrays = [
        np.ascontiguousarray(each.numpy().reshape(found.inputs[f"in{at}"])) for at, each in enumerate(net(name)[1])
    ]
    for place, array in enumerate(arrays):
        assert run.input(f"in{place}", ncnn.Mat(array).clone()) == 0
    shapes = {}
    for blob in found.shapes:
        code, given = run.extract(blob)
        assert code == 0, blob
        shapes[blob] = np.array(given).shape
    assert shapes == found.shapes


def test_every_rule_is_of_a_layer_that_ncnn_has() -> None:
    assert not [name for name in reader.LAYERS if ncnn.layer_to_index(name) < 0]


def test_most_rules_are_of_layers_that_these_networks_have() -> None:
    seen = {layer for name in NETS for layer in reader.read(file_of(name)).operators}
    assert len(seen) > 0.6 * len(reader.LAYERS)


def test_what_was_read_is_written_as_the_same_bytes() -> None:
    for name in ("image", "transformer"):
        assert reader.read(file_of(name)).data == file_of(name)


def changed(name: str, *pairs: tuple[str, str], weights: bytes | None = None) -> bytes:
    """The file of the network *name* with parts of its text exchanged, which have to be there."""
    files = unpack(file_of(name))
    text = files[reader.PARAM].decode()
    for old, new in pairs:
        assert old in text, text
        text = text.replace(old, new, 1)
    return pack({reader.PARAM: text.encode(), reader.BIN: files[reader.BIN] if weights is None else weights})


def weights_of(name: str) -> bytes:
    return unpack(file_of(name))[reader.BIN]


def counts(layers: int, blobs: int) -> tuple[str, str]:
    own = reader.read(file_of("dense"))
    return f"{len(own.layers)} {len(own.shapes)}\n", f"{layers} {blobs}\n"


DENSE = "dense"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "absurd counts of layers": lambda: changed(DENSE, counts(2_000_000_000, 4)),
    "absurd counts of blobs": lambda: changed(DENSE, counts(4, 2_000_000_000)),
    "fewer blobs than there are": lambda: changed(DENSE, counts(4, 1)),
    "counts below 0": lambda: changed(DENSE, counts(-1, -1)),
    "a blob that nobody makes": lambda: changed(DENSE, ("1 1 in0 1 ", "1 1 no 1 ")),
    "a blob that it makes itself": lambda: changed(DENSE, ("1 1 in0 1 ", "1 1 1 1 ")),
    "a blob that two read": lambda: changed("two out", ("1 1 3 4 0=2", "1 1 1 4 0=2")),
    "thousands of inputs": lambda: changed(DENSE, ("1 1 in0 1 ", "2000000000 1 in0 1 ")),
    "inputs below 0": lambda: changed(DENSE, ("1 1 in0 1 ", "-1 1 in0 1 ")),
    "a layer of another program": lambda: changed(DENSE, ("InnerProduct", "Custom")),
    "a layer that is on no list": lambda: changed(DENSE, ("TanH", "Spectrogram")),
    "a path for a layer": lambda: changed(DENSE, ("InnerProduct", "/tmp/layer.so")),
    "a name of thousands": lambda: changed(DENSE, ("TanH ", f"TanH {'x' * 5000}")),
    "another magic number": lambda: changed(DENSE, ("7767517", "7767518")),
    "huge input": lambda: changed(DENSE, ("0=7", "0=2147483647")),
    "input of no size": lambda: changed(DENSE, ("0=7", "0=0")),
    "input below 0": lambda: changed(DENSE, ("0=7", "0=-7")),
    "an input that is no linear layer's": lambda: changed(DENSE, ("0=7", "0=8")),
    "outputs that overflow": lambda: changed(DENSE, ("0=9 1=1 2=63", "0=2147483647 1=1 2=2147483633")),
    "weights of another size": lambda: changed(DENSE, ("2=63", "2=64")),
    "a number of twenty digits": lambda: changed(DENSE, ("2=63", "2=63000000000000000000")),
    "a number that is none": lambda: changed(DENSE, ("2=63", "2=nan")),
    "an option that no layer has": lambda: changed(DENSE, ("2=63", "2=63 31=1")),
    "an option that is not the layer's": lambda: changed(DENSE, ("2=63", "2=63 8=1")),
    "an option that is too far": lambda: changed(DENSE, ("2=63", "2=63 999=1")),
    "an option twice": lambda: changed(DENSE, ("2=63", "2=63 2=63")),
    "an array that is longer than it says": lambda: changed(DENSE, ("2=63", "2=63 -23310=1,1,1")),
    "an array that is shorter than it says": lambda: changed(DENSE, ("2=63", "2=63 -23310=2000000000,1")),
    "text for a number": lambda: changed(DENSE, ("2=63", '2="0w,0h"')),
    "weights that end before": lambda: changed(DENSE, weights=weights_of(DENSE)[:-4]),
    "weights that go on": lambda: changed(DENSE, weights=weights_of(DENSE) + b"\0\0\0\0"),
    "weights of another type": lambda: changed(DENSE, weights=b"\x38\x4b\x0d\0" + weights_of(DENSE)[4:]),
    "no weights": lambda: changed(DENSE, weights=b""),
    "a window of no size": lambda: changed("image", ("1=3", "1=0")),
    "a stride of 0": lambda: changed("image", ("3=1 ", "3=0 ")),
    "groups that do not fit": lambda: changed("image", ("7=8", "7=3")),
    "an axis that is not there": lambda: changed("products", ("0=3 1=1", "0=7 1=1")),
    "pads of gigabytes": lambda: changed("image", ("4=1 ", "4=4000 "), ("0=16 1=16", "0=4096 1=4096")),
    "a transposed convolution of gigabytes": lambda: changed("joined", ("0=16 1=16", "0=4096 1=4096")),
    "attention over millions": lambda: changed("heads", ("1=10", "1=1000000")),
    "only text": lambda: pack({reader.PARAM: unpack(file_of(DENSE))[reader.PARAM]}),
    "a file besides": lambda: pack({**unpack(file_of(DENSE)), "../../etc/passwd": b"x"}),
    "no archive": lambda: b"7767517\n1 1\nInput in0 0 1 in0 0=7\n",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_before_ncnn_sees_it(what: str) -> None:
    _, inputs, outputs = net(DENSE)
    with pytest.raises(BundleError) as caught:
        engines.open_session("ncnn", HOSTILE[what](), "ncnn", signature(inputs, outputs), 1)
    assert caught.value.exit_code == 6 and caught.value.code in ("EK-CONTENTS", "EK-BUNDLE")
    assert "\n" not in caught.value.message and len(caught.value.message) < 500 and caught.value.hint


def test_a_layer_that_is_on_no_list_is_named() -> None:
    with pytest.raises(Refused, match="'Spectrogram'"):
        contents.check(HOSTILE["a layer that is on no list"](), "ncnn")


def test_mutants_are_refused_or_run_and_end_no_process() -> None:
    found: Counter[str] = Counter()
    with Server.start("ncnn") as server:
        for name in NETS:
            for seed in range(_MUTANTS):
                data, before = mutant(file_of(name), seed), process_time()
                try:
                    model = reader.read(data)
                except Malformed as error:
                    assert "\n" not in str(error) and len(str(error)) < 500
                    found["refused"] += 1
                    continue
                finally:
                    assert process_time() - before < _LONGEST_S, (name, seed)
                found[_outcome(server, model, (name, seed))] += 1
    assert found["refused"] > 0.3 * sum(found.values()) and found["ran"] > 20, found


def _outcome(server: Server, model: reader.NcnnModel, which: tuple[str, int]) -> str:
    """What becomes of a mutant that passed, in a process of its own."""
    sides = ((model.inputs, "in"), (model.outputs, "out"))
    named = [[side[f"{stem}{place}"] for place in range(len(side)) if f"{stem}{place}" in side] for side, stem in sides]
    if len(named[0]) != len(model.inputs) or not named[0] or not named[1]:
        return "other names"
    specs = [
        tuple(TensorSpec(f"t{place}", (1, *shape), "float32") for place, shape in enumerate(side)) for side in named
    ]
    draw = np.random.default_rng(0)
    try:
        session = server.open(model.data, "ncnn", Signature(*specs), 1)
        outputs = session.run([draw.standard_normal(spec.shape, np.float32) for spec in specs[0]])
        session.close()
    except EdgekitError as error:
        assert error.code == "EK-RUN", (which, error)
        return "refused by ncnn"
    assert [output.shape for output in outputs] == [spec.shape for spec in specs[1]], which
    return "ran"
