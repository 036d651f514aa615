"""Bundles that lie: every changed byte is noticed, and none of them reaches an engine."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.mutations import Mutator, write_folder

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import BundleError
from edgekit.manifest import Manifest
from edgekit.runtime import model, selection
from edgekit.tensors import Signature

#: ``EDGEKIT_MUTATIONS=10000`` tries more of them.
COUNT = int(os.environ.get("EDGEKIT_MUTATIONS", "1500"))

VARIANTS = ("fp32.tflite", "int8-dynamic.tflite", "fp32.pte")


class Recorder:
    """Stands where models are handed to engines; it runs nothing, and fails the test for changed bytes."""

    threads = 1
    run_one = None

    def __init__(self, manifest: Manifest, files: dict[str, bytes]):
        self._known = {(files[variant.file], manifest.signature) for variant in manifest.variants}
        self.handed_over = 0

    def __call__(
        self, engine: str, data: bytes, format: str, signature: Signature, threads: int, method: str | None
    ) -> Recorder:
        assert (data, signature) in self._known, "changed bytes reached an engine"
        self.handed_over += 1
        return self

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        raise AssertionError("nothing is to be run")

    def close(self) -> None:
        pass


@pytest.fixture
def recorder(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    with Bundle.open(small_bundle) as bundle:
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        recorder = Recorder(bundle.manifest, files)
        usable = tuple(selection.choices(bundle.manifest, model.read_machine()))
    assert all(choice.usable for choice in usable)
    monkeypatch.setattr(model, "open_session", recorder)
    # They ask this machine, which takes longer than all the rest, for the same answer.
    monkeypatch.setattr(
        model, "choices", lambda manifest, machine, variant, engine: [c for c in usable if c.variant == variant]
    )
    monkeypatch.setattr(model, "read_machine", lambda: None)
    return recorder


def refused(path: Path) -> bool:
    """Whether somebody who looks at all of the bundle is told, in one line, that it is not right."""
    try:
        with Bundle.open(path) as bundle:
            bundle.verify()
    except BundleError as error:
        assert error.exit_code == 6 and "\n" not in error.message
        return True
    return False


def loaded(path: Path, variant: str, recorder: Recorder) -> bool:
    """Whether *variant* reached an engine, which its own bytes may when another file is damaged."""
    before = recorder.handed_over
    try:
        model.load(path, variant=variant).close()
    except BundleError as error:
        assert error.exit_code == 6
    return recorder.handed_over > before


def test_the_bundle_itself_is_taken(small_bundle: Path, recorder: Recorder) -> None:
    assert not refused(small_bundle)
    assert all(loaded(small_bundle, variant, recorder) for variant in VARIANTS)


def test_every_changed_bundle_is_refused(small_bundle: Path, recorder: Recorder, tmp_path: Path) -> None:
    """Loading reads one file only: damage in another file is none of its business, but `Bundle.verify` finds it."""
    path = tmp_path / "changed.edgekit"
    kinds: Counter[str] = Counter()
    for index, (kind, changed) in enumerate(Mutator(small_bundle.read_bytes(), seed=3).bundles(COUNT)):
        path.write_bytes(changed)
        assert refused(path), kind
        if loaded(path, VARIANTS[index % 3], recorder):
            kinds[kind] += 1
    # What may leave a variant loadable touches contents only: each other kind is noticed when a bundle is opened.
    assert kinds.keys() <= {"_flipped", "_overwritten", "_file_changed", "_files_swapped", "_moved", "_manifest_forged"}


def test_every_changed_folder_is_refused(small_bundle: Path, recorder: Recorder, tmp_path: Path) -> None:
    for index, files in enumerate(Mutator(small_bundle.read_bytes(), seed=4).folders(COUNT // 10)):
        folder = tmp_path / str(index)
        write_folder(files, folder)
        assert refused(folder)
        loaded(folder, VARIANTS[index % 3], recorder)
        shutil.rmtree(folder)


def test_the_command_line_says_so_with_exit_code_6(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, sample = tmp_path / "changed.edgekit", tmp_path / "sample.npy"
    np.save(sample, np.zeros((12, 12), np.uint8))
    mutator = Mutator(small_bundle.read_bytes(), seed=5)
    for kind, changed in mutator.bundles(40):
        path.write_bytes(changed)
        assert run(["inspect", str(path)]) == 6, kind
        assert run(["verify", str(path)]) == 6, kind
        if kind in ("_cut", "_table_lies", "_manifest_edited"):
            assert run(["run", str(path), "--input", str(sample)]) == 6, kind
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if "Traceback" in line]


def test_a_file_that_is_swapped_after_the_check_does_no_harm(small_bundle: Path, tmp_path: Path) -> None:
    """Contents are read once, hashed, and those same bytes are handed on: there is nothing in between to change."""
    path = tmp_path / "bundle.edgekit"
    shutil.copy(small_bundle, path)
    with Bundle.open(path) as bundle:
        expected = bundle.read("variants/fp32.tflite")
        path.unlink()
        path.write_bytes(b"something else")
        assert bundle.read("variants/fp32.tflite") == expected
    shutil.copy(small_bundle, path)
    with Bundle.open(path) as bundle, path.open("r+b") as other:
        place = path.read_bytes().find(expected)
        other.seek(place + 100)
        other.write(b"????")
        other.flush()
        with pytest.raises(BundleError):
            bundle.read("variants/fp32.tflite")
