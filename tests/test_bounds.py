"""Manifests whose every hash is right: whoever makes the whole bundle chooses every value in it."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import resource
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import archive
from edgekit.cli import inspect
from edgekit.cli.main import run
from edgekit.errors import EdgekitError
from edgekit.manifest import MANIFEST, Manifest, parse_manifest, seal
from edgekit.runtime.machine import Machine, read_machine
from edgekit.runtime.preprocess import Preprocessing
from edgekit.runtime.selection import choices, needed_memory_bytes

Change = Callable[[dict[str, Any]], object]


class Forger:
    """The bundle in *original*, changed and sealed again."""

    def __init__(self, original: Path):
        with zipfile.ZipFile(original) as stored:
            self._files = {info.filename: stored.read(info) for info in stored.infolist()}
        self.manifest: dict[str, Any] = json.loads(self._files.pop(MANIFEST))
        del self.manifest["sha256"]

    def write(self, path: Path, change: Change, **files: bytes) -> Path:
        value = copy.deepcopy(self.manifest)
        contents = {
            **self._files,
            **{name.replace("__", "/").replace("_npy", ".npy"): data for name, data in files.items()},
        }
        value["files"] = {
            name: {"size_bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in contents.items()
        }
        change(value)
        with path.open("wb") as stream:
            archive.write({MANIFEST: seal(value), **dict(sorted(contents.items()))}, stream)
        return path


@pytest.fixture(scope="module")
def forger(small_bundle: Path) -> Forger:
    return Forger(small_bundle)


def set_to(path: str, value: object) -> Change:
    *steps, last = path.split(".")

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for step in steps:
            place = place[int(step)] if step.isdecimal() else place[step]
        place[int(last) if last.isdecimal() else last] = value

    return change


RESIZE = {"scale": 1.0, "mean": [], "std": [], "layout": "channels-first"}
DEEP: Any = json.loads("[" * 200 + "]" * 200)

#: What is said of a bundle that cannot be, and the verb that says so.
REFUSED: list[tuple[str, Change, str]] = [
    (
        "run",
        set_to("preprocessing", {**RESIZE, "resize": {"height": 100000, "width": 100000, "crop": 0.0001}}),
        "larger",
    ),
    ("run", set_to("preprocessing", {**RESIZE, "resize": {"height": 12, "width": 12, "crop": 1e-9}}), "larger"),
    ("run", set_to("preprocessing", {**RESIZE, "resize": {"height": 30000, "width": 30000, "crop": 1.0}}), "larger"),
    (
        "run",
        set_to("preprocessing", {**RESIZE, "resize": {"height": 4000, "width": 4000, "crop": 1.0}}),
        "for an input",
    ),
    ("run", set_to("preprocessing", {**RESIZE, "resize": {"height": -1, "width": 12, "crop": 1.0}}), "resize"),
    ("run", set_to("preprocessing", {**RESIZE, "scale": 1e308}), "scale"),
    ("run", set_to("preprocessing", {**RESIZE, "scale": 1e12}), "scale"),
    ("run", set_to("preprocessing", {**RESIZE, "mean": [1e300]}), "mean"),
    ("run", set_to("preprocessing", {**RESIZE, "std": [1e-300]}), "std"),
    ("run", set_to("preprocessing", {**RESIZE, "mean": [0.5] * 5000}), "mean"),
    ("run", set_to("preprocessing", {**RESIZE, "layout": "\x1b[2J"}), "layout"),
    ("inspect", set_to("signature.inputs.0.shape", [1, 2**31 - 1, 2**31 - 1, 4]), "signature"),
    ("inspect", set_to("signature.outputs.0.shape", [1, 100_000_000]), "256 MiB"),
    ("inspect", set_to("signature.inputs.0.shape", [1] + [1] * 200), "signature"),
    ("inspect", lambda m: m["variants"].extend({**m["variants"][0], "name": f"v{n}"} for n in range(600)), "variants"),
    ("inspect", set_to("source", DEEP), "deep"),
    ("inspect", set_to("source.parameter_count", 10**30), "whole number"),
    ("inspect", set_to("source.framework", "x" * 100_000), "characters"),
    ("inspect", set_to("calibration", 5), "calibration"),
    ("inspect", set_to("recommended.variant", ["x"]), "recommended"),
    ("inspect", set_to("recommended.reason", {"a": 1}), "recommended"),
    ("inspect", set_to("recommended.more", "x"), "recommended"),
    ("verify", set_to("checks.samples", "x"), "checks"),
    ("verify", set_to("checks.samples", 10**9), "checks"),
    ("verify", set_to("checks.random", {}), "checks"),
    ("verify", set_to("checks.inputs", ["checks/input_0.npy"]), "checks"),
    ("verify", set_to("checks.inputs.image", 5), "checks"),
    ("verify", set_to("checks.more", True), "checks"),
    ("inspect", set_to("variants.0.arena_bytes", -(10**15)), "variants"),
    ("inspect", set_to("variants.0.arena_bytes", 10**18), "variants"),
    ("inspect", set_to("variants.0.minimum_runtime", {"litert": "9" * 5000}), "characters"),
    ("inspect", set_to("variants.0.minimum_runtime", {"litert": "9" * 300}), "version"),
    ("inspect", set_to("variants.0.snr_db", -1e308), "figure"),
    ("inspect", set_to("variants.0.accuracy", 1e308), "figure"),
    ("inspect", set_to("variants.0.undelegated_ops", {"conv": -1}), "variants"),
    ("inspect", set_to("variants.0.undelegated_ops", {"conv": 10**18}), "variants"),
    ("inspect", set_to("variants.0.batch", 10**9), "batch"),
    ("inspect", set_to("variants.0.warnings", ["x" * 5000]), "characters"),
    ("inspect", set_to("name", "../../../etc/" + "x" * 300_000), "(name"),
    ("inspect", set_to("producer", "x" * 5000), "(producer"),
]


@pytest.mark.parametrize(("verb", "change", "word"), REFUSED)
def test_what_no_bundle_says_is_refused_in_one_line(
    forger: Forger, tmp_path: Path, capfd: pytest.CaptureFixture[str], verb: str, change: Change, word: str
) -> None:
    path = forger.write(tmp_path / "x.edgekit", change)
    np.save(tmp_path / "raw.npy", np.zeros((12, 12), np.uint8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run([verb, str(path), *(["--input", str(tmp_path / "raw.npy")] if verb == "run" else [])]) == 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    said = capfd.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and word in said.err and "[EK-BUNDLE]" in said.err
    assert all(line.isprintable() for line in said.err.splitlines())


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"),
        _header("{'descr':'<f4'+("),
        _header("{'descr': [" + "(" * 3000 + "'a'"),
        _objects(),
        b"",
        b"PK\3\4" + bytes(100),
    ],
)
@pytest.mark.parametrize("verb", [["verify"], ["profile", "--quick"], ["integrate", "--for", "web"]])
def test_check_vectors_that_are_none_are_refused(
    forger: Forger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    verb: list[str],
    data: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = forger.write(tmp_path / "x.edgekit", lambda manifest: None, checks__input_0_npy=data)
    assert run([verb[0], str(path), *verb[1:]]) == 6
    assert "holds no array" in capfd.readouterr().err


VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**40, 2**62, 10**30, -1.5, 0.0, 1e308, "", "x", "\x1b[2J\u202e", "a\nb", "../x", [], {},
    [[]], [None], {"x": 1}, {"": ""}, ["x"], [-1], "9" * 4000,
)  # fmt: skip


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places in *value*; of those in a list, the first item's."""
    pairs = value.items() if isinstance(value, dict) else [*enumerate(value)][:1] if isinstance(value, list) else ()
    for key, item in pairs:
        yield (*path, key)
        yield from spots(item, (*path, key))


def looked_at(manifest: Manifest, machine: Machine) -> None:
    """All that is done with a manifest before a file is opened."""
    assert list(inspect._lines(manifest))
    assert all(needed_memory_bytes(manifest, variant) >= 0 for variant in manifest.variants)
    assert list(choices(manifest, machine, installed={"litert": "2.3.0", "executorch": "1.5.1"}))
    if manifest.preprocessing is not None:
        with contextlib.suppress(ValueError, EdgekitError):
            Preprocessing.from_json(manifest.preprocessing).apply(np.zeros((12, 12), np.uint8), 3)


def test_any_value_in_any_place_is_taken_or_refused(forger: Forger) -> None:
    machine = read_machine()
    taken = refused = 0
    for path in spots({key: value for key, value in forger.manifest.items() if key != "files"}):
        for value in VALUES:
            changed = copy.deepcopy(forger.manifest)
            place: Any = changed
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
            try:
                manifest = parse_manifest(seal(changed))
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError, EdgekitError):
                refused += 1  # what `Bundle.open` says in one line
                continue
            taken += 1
            looked_at(manifest, machine)
    assert taken > 150 and refused > 800, (taken, refused)
