"""Randomly damaged files: readers raise nothing but their own errors, in no time, and a sample of what they let
through is loaded and run by the real engine in a child, which has to live."""

from __future__ import annotations

import copy
import json
import os
import resource
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from small_models import IMAGE, SmallModels
from support import hostile_files
from support.hostile_files import PROGRAM, WEIGHTS, good_pt2, packed, pt2_with, unpacked
from support.keras_files import facts
from support.mutants import mutant

from edgekit.runtime import contents, engines
from edgekit.runtime.contents import Malformed
from edgekit.tensors import Signature

#: Seconds that the reader may take for one damaged file of some kilobytes, on a busy machine.
_LONGEST_S = 2.0
_MUTANTS = 250


@cache
def other_files() -> dict[str, bytes]:
    return {"pt2": good_pt2(), "onnx": hostile_files.onnx(), "keras": facts()["both"]}


def file_of(format: str, models: SmallModels) -> bytes:
    return models.files[f"image.{format}"] if format in ("tflite", "pte", "ptl") else other_files()[format]


@pytest.mark.parametrize("format", ["tflite", "pte", "ptl", "pt2", "onnx", "keras"])
def test_readers_raise_their_own_errors_alone(small_models: SmallModels, format: str) -> None:
    data = file_of(format, small_models)
    found: Counter[bool] = Counter()
    for seed in range(_MUTANTS):
        before = process_time()
        try:
            contents.check(mutant(data, format, seed), format)
            found[True] += 1
        except Malformed as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            found[False] += 1
        assert process_time() - before < _LONGEST_S, seed
    assert found[False] > _MUTANTS / 10  # that they are damaged, and seen to be


def read_or_refused(data: bytes, format: str) -> None:
    try:
        contents.check(data, format)
    except Malformed as error:
        assert "\n" not in str(error) and len(str(error)) < 500


def changes(value: Any) -> Iterator[Any]:
    """*value* with each field in it left out, and of every other kind; it is the same object each time."""
    for holder, key in list(_spots(value)):
        kept = copy.copy(holder)
        for other in (None, -1, 10**4200, "x", [[1]], {"x": 1}, "left out"):
            if other == "left out":
                del holder[key]
            else:
                holder[key] = other
            yield value
            holder.clear()
            holder.update(kept) if isinstance(holder, dict) else holder.extend(kept)


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("pt2", f"archive/{PROGRAM}"), ("pt2", f"archive/{WEIGHTS}"), ("keras", "config.json"),
        ("keras", "metadata.json"),
    ],
)  # fmt: skip
def test_whatever_stands_in_a_field_is_read_or_refused(format: str, name: str) -> None:
    files = unpacked(other_files()[format])
    for value in changes(json.loads(files[name])):
        read_or_refused(packed({**files, name: json.dumps(value).encode()}), format)


def test_however_inputs_and_outputs_nest_they_are_read_or_refused() -> None:
    leaf = {"type": None, "context": None, "children_spec": []}
    honest = [1, {"type": "builtins.tuple", "context": "null", "children_spec": [leaf, leaf]}]
    for tree in ([], [1], [1, leaf, leaf], leaf, "", None, *changes(honest)):
        text = json.dumps(tree)
        read_or_refused(
            pt2_with(
                lambda program, text=text: program["graph_module"]["module_call_graph"][0]["signature"].update(
                    out_spec=text
                )
            ),
            "pt2",
        )


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _spots(item)


def lives(engine: str, data: bytes, signature: Signature) -> bool:
    """Whether a child that loads and runs the file ends by itself, within 4 GB and 20 seconds of work."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            session = engines.open_session(engine, data, engines.engine(engine).formats[0], signature, 1)
            session.run([np.zeros(spec.shape, spec.dtype) for spec in signature.inputs])
        finally:
            os._exit(0)
    return os.WIFEXITED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("engine", "name"), [("litert", "image.tflite"), ("executorch", "image.pte"), ("executorch", "plain.pte")]
)
def test_engines_survive_what_readers_let_through(
    small_models: SmallModels, engine: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = small_models.files[name]
    session = engines.open_session(engine, data, name.rpartition(".")[2], IMAGE, 1)  # its library is loaded once
    session.run([small_models.images[:1]])
    session.close()
    assert lives(engine, data, IMAGE)
    dead, format = [], name.rpartition(".")[2]
    for seed in range(150):
        changed = mutant(data, format, seed)
        try:
            contents.check(changed, format)
        except Malformed:
            continue
        if not lives(engine, changed, IMAGE):
            dead.append(seed)
    assert dead == [] and list(tmp_path.iterdir()) == []
