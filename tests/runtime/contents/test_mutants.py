"""Randomly damaged files: readers raise nothing but their own errors, in no time, and a sample of what they let
through is loaded and run by the real engine in a child, which has to live."""

from __future__ import annotations

import os
import random
import resource
from collections import Counter
from functools import cache
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from small_models import IMAGE, SmallModels
from support import hostile_files
from support.hostile_files import good_pt2, packed, unpacked
from support.keras_files import facts

from edgekit.runtime import contents, engines
from edgekit.runtime.contents import Malformed
from edgekit.tensors import Signature

#: Seconds that the reader may take for one damaged file of some kilobytes, on a busy machine.
_LONGEST_S = 2.0
_MUTANTS = 250


def damaged(data: bytes, chance: random.Random) -> bytes:
    """*data* with a few bits, bytes or words changed, most often where the structure is."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16)) if data else 0):
        place, near = chance.randrange(len(data)), chance.randrange(min(len(data), 4096))
        match chance.randrange(6):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[near] = chance.choice((0, 1, 2, 3, 4, 8, 127, 128, 255))
            case 2:
                changed[near] = (changed[near] + chance.choice((-1, 1))) % 256
            case 3:
                words = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", chance.randbytes(4))
                changed[place & ~3 : (place & ~3) + 4] = chance.choice(words)
            case 4:
                changed[near & ~3 : (near & ~3) + 4] = chance.randbytes(4)
            case 5:
                changed[place & ~3 : (place & ~3) + 4] = changed[near & ~3 : (near & ~3) + 4]
    return bytes(changed[: len(data)])


def mutant(data: bytes, seed: int) -> bytes:
    """The file with damage in it, behind right checksums where it is an archive."""
    chance = random.Random(seed)
    if data[:2] != b"PK" or chance.random() < 0.1:
        return damaged(data, chance)
    files = unpacked(data)
    name = chance.choices(list(files), [1 + min(len(part), 4000) for part in files.values()])[0]
    return packed({**files, name: damaged(files[name], chance)})


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
            contents.check(mutant(data, seed), format)
            found[True] += 1
        except Malformed as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            found[False] += 1
        assert process_time() - before < _LONGEST_S, seed
    assert found[False] > _MUTANTS / 10  # that they are damaged, and seen to be


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
    dead = []
    for seed in range(150):
        changed = mutant(data, seed)
        try:
            contents.check(changed, name.rpartition(".")[2])
        except Malformed:
            continue
        if not lives(engine, changed, IMAGE):
            dead.append(seed)
    assert dead == [] and list(tmp_path.iterdir()) == []
